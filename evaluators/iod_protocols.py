"""The presets of IOD. See protocols.py for what a preset is.

Each comment says where its choices were read: repository, file, and the date of the commit. What
others do to pictures before (crops, squares) belongs to the data set; errors are always measured
in pixels of the stored picture.

DVE's numbers (jamt9000/DVE, model/keypoint_prediction.py, 2019-10-24) and those of its followers
have no preset: they come from 50 detectors a keypoint, trained on annotations, not from a linear
map of landmarks.
"""

from dataclasses import dataclass, replace
from typing import Literal

from jladkit.errors import UsageError
from jladkit.evaluators.regression import Penalty

Frame = Literal["corner", "centre", "unit", "box"]
PAIR_OR_BOX = "iod-pair-or-box"
# What errors can be a share of, in words. A pair of keypoints is spelled "NAME,NAME".
NORMALISERS = {
    PAIR_OR_BOX: "inter-ocular distance where a category has eyes, else longer side of the box",
    "box-longer-side": "longer side of the box",
    "box-diagonal": "diagonal of the box",
    "sqrt-box-area": "square root of the box's area",
    "keypoint-extent": "longer side of the visible keypoints' extent",
    "sqrt-keypoint-area": "square root of the area of the visible keypoints' extent",
    "image": "longer side of the picture",
}


def pair_of(normaliser: str) -> tuple[str, str] | None:
    """The two keypoints that a normaliser names, or None."""
    first, comma, second = normaliser.partition(",")
    return (first.strip(), second.strip()) if comma else None


def check_normaliser(normaliser: str) -> None:
    """Raise UsageError unless there is such a normaliser."""
    pair = pair_of(normaliser)
    if pair is None and normaliser not in NORMALISERS:
        raise UsageError(
            f"Unknown normaliser {normaliser!r}. Known: {', '.join(NORMALISERS)}, or two keypoints "
            "as NAME,NAME."
        )
    if pair is not None and (not all(pair) or pair[0] == pair[1] or "," in pair[1]):
        raise UsageError(f"Two different keypoints must be given as NAME,NAME. Got {normaliser!r}.")


@dataclass(frozen=True)
class IodProtocol:
    """How discovered landmarks are regressed onto annotated keypoints, and how that is scored.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        frame: the coordinates that are regressed. "corner" has its origin at the centre of the
            top left pixel, "centre" in the middle of the picture; both are divided by the
            picture's longer side, so that large pictures weigh no more than small ones. "unit" is
            -1 to 1 from border to border of the picture, each side by itself; "box" 0 to 1
            from border to border of the object's box. Without a bias the origin matters, with a
            ridge the origin and scale of what is regressed.
        bias: whether the map has a constant term. It is never penalised.
        penalty, ridge: what is added for the squared coefficients. "absolute": `ridge` times
            them, 0 is plain least squares. "relative": `ridge` times the largest entry of X'X.
            "leave-one-out": likewise, chosen by the fitted objects alone (regression.py).
        fitted_on: "train", the training objects; "scored", the very objects that are scored;
            "halves", the objects of one half of the scored pictures for those of the other, and
            the other way round.
        fit_rows: how many of these objects of each category are drawn for a fit; None is all.
        repeats: how often halves or rows are drawn. An image's error is the mean over them.
        seed: of these draws.
        normaliser: what errors are a share of: a key of NORMALISERS, or two keypoints
            "NAME,NAME". "iod-pair-or-box" is the distance of the category's two eyes where it
            has such a pair, else the longer side of the object's box.
        aggregation: "image-mean": mean over an image's visible keypoints, divided by the image's
            normaliser, then the plain mean over images (never a ratio of means).
    """

    name: str
    version: int
    summary: str
    frame: Frame
    bias: bool
    penalty: Penalty
    ridge: float | None
    fitted_on: Literal["train", "scored", "halves"]
    fit_rows: int | None
    repeats: int
    seed: int
    normaliser: str
    aggregation: Literal["image-mean"]

    def __post_init__(self) -> None:
        if (self.penalty == "leave-one-out") != (self.ridge is None):
            raise ValueError(f"{self.name}: leave-one-out finds its ridge, all others have one.")
        if self.ridge is not None and not 0 <= self.ridge < float("inf"):
            raise ValueError(f"{self.name}: the ridge must be at least 0. Got {self.ridge}.")
        check_normaliser(self.normaliser)
        if self.fit_rows is not None and self.fit_rows < 1:
            raise ValueError(f"{self.name}: fit_rows must be at least 1. Got {self.fit_rows}.")
        if self.repeats < 1 or (self.repeats > 1 and not self.draws):
            raise ValueError(f"{self.name}: repeats go with halves and with fit_rows.")

    @property
    def draws(self) -> bool:
        """Whether chance decides what is fitted on."""
        return self.fitted_on == "halves" or self.fit_rows is not None

    @property
    def ridged(self) -> bool:
        """Whether there is a penalty at all."""
        return self.ridge != 0


def iod_protocol(
    name: str,
    summary: str,
    *,
    frame: Frame = "corner",
    bias: bool = False,
    penalty: Penalty = "absolute",
    ridge: float | None = 0.0,
    fitted_on: Literal["train", "scored", "halves"] = "train",
) -> IodProtocol:
    """A preset that differs from `imm` in what is given."""
    return IodProtocol(
        name=name,
        version=1,
        summary=summary,
        frame=frame,
        bias=bias,
        penalty=penalty,
        ridge=ridge,
        fitted_on=fitted_on,
        fit_rows=None,
        repeats=1,
        seed=0,
        normaliser=PAIR_OR_BOX,
        aggregation="image-mean",
    )


PRESETS = (
    # Jakab et al. (NeurIPS 2018). tomasjakab/imm, scripts/test.py, 2018-12-02: Ridge(alpha=0,
    # fit_intercept=False) on pixels of the 128 x 128 crop. Many tables on MAFL and AFLW are made
    # so; AutoLink (its datasets/celeba_wild.py, 2022-09-15) does the same on squares in [0, 1].
    # IMM fits on MAFL's training list less its last tenth, 17,100 faces.
    iod_protocol("imm", "linear map without bias, origin in the picture's corner, fitted on train"),
    # The same with --bias. NVlabs/SCOPS, evaluation/face_evaluation_wild.py, 2020-08-21, gets there by
    # standardising both sides: without a ridge their scale changes nothing.
    iod_protocol(
        "imm-bias", "linear map with bias, fitted on train: no origin is favoured", bias=True
    ),
    # Zhang et al. (CVPR 2018). YutingZhang/lmdis-rep, evaluation/face_evaluation.m and
    # linear_regressor.m, 2022-07-31: both sides in [0, 1] less 0.5, W = X\Y.
    iod_protocol(
        "strucrep",
        "linear map without bias, origin in the picture's centre, fitted on train",
        frame="centre",
    ),
    # Jeon et al. (ICCV 2019) fit on the annotations of the "testing image pairs".
    iod_protocol(
        "paper",
        "linear map without bias, origin in the corner, fitted on the scored objects themselves",
        fitted_on="scored",
    ),
    # Sanchez and Tzimiropoulos (NeurIPS 2019). ESanchezLozano/SAIC-Unsupervised-landmark-detection-
    # NeurIPS2019, test.py, 2019-10-22: both sides centred, C + 1e-5 max(C) I by default (its
    # README runs 1e-4). Its curves over n training images, 10 repeats each, are --fit-rows n+1
    # --repeats 10 here: the slice [0:n+1] takes one more.
    iod_protocol(
        "saic",
        "linear map with bias, ridge of 1e-5 of the largest variance, fitted on train",
        bias=True,
        penalty="relative",
        ridge=1e-5,
    ),
    # Mallis et al. dimitrismallis/KeypointsToLandmarks, utils.py and Evaluators/evalCelebA.py,
    # 2022-06-14: SAIC's function with 1e-3. For LS3D (evalLS3D.py) it takes 0.1, and the normaliser
    # sqrt-keypoint-area.
    iod_protocol(
        "mallis",
        "linear map with bias, ridge of 1e-3 of the largest variance, fitted on train",
        bias=True,
        penalty="relative",
        ridge=1e-3,
    ),
    # Hedlin et al. (CVPR 2024). ubc-vision/StableKeypoints, unsupervised_keypoints/
    # keypoint_regressor.py, 2025-07-24, return_regressor_visible: squares in [0, 1] less 0.5, a
    # keypoint's own map on the pictures that show it. It measures in the square too.
    iod_protocol(
        "stable-keypoints",
        "linear map without bias, the picture as a square with its origin in the middle, fitted "
        "on train",
        frame="unit",
    ),
    # For rows that are cropped unlike the training objects, as AFLW's in MTFL: imm's map, fitted
    # inside the scored split, never on what it is scored on.
    iod_protocol(
        "halves",
        "linear map without bias, origin in the corner, fitted on one half of the scored pictures "
        "and scored on the other, both ways",
        fitted_on="halves",
    ),
    # Ours. With the object's box as frame, a ridge without end gives the mean shape laid into the
    # box, which is the floor; landmarks that tell nothing then score the floor, and what lies
    # below it is what they tell. The pictures' frame would end at the mean place in the picture,
    # which knows less of where the object is. The floor and this map know the same annotation, the box.
    iod_protocol(
        "recommended",
        "linear map with bias inside the object's box, ridge chosen by leave-one-out, fitted on "
        "train",
        frame="box",
        bias=True,
        penalty="leave-one-out",
        ridge=None,
    ),
    # The same where train is cropped unlike the scored pictures, as for `halves`.
    iod_protocol(
        "halves-recommended",
        "linear map with bias inside the object's box, ridge chosen by leave-one-out, fitted on one "
        "half of the scored pictures and scored on the other, both ways",
        frame="box",
        bias=True,
        penalty="leave-one-out",
        ridge=None,
        fitted_on="halves",
    ),
)
IOD_PROTOCOLS = {preset.name: preset for preset in PRESETS}


def derived(
    preset: IodProtocol,
    *,
    normaliser: str | None = None,
    fit_rows: int | None = None,
    repeats: int | None = None,
    seed: int = 0,
) -> IodProtocol:
    """`preset` with other choices, which its name then tells: imm+box-diagonal, imm+rows=100x10.

    Args:
        preset: one of IOD_PROTOCOLS.
        normaliser: a key of NORMALISERS, or "NAME,NAME"; None keeps the preset's.
        fit_rows: how many objects of each category to draw for a fit; None keeps all.
        repeats: how often to draw; None is once.
        seed: of the draws.

    Raises:
        UsageError: an unknown normaliser, no rows or repeats, or repeats where nothing is drawn.
    """
    for number, name in ((fit_rows, "--fit-rows"), (repeats, "--repeats")):
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1. Got {number}.")
    if repeats is not None and repeats > 1 and fit_rows is None and preset.fitted_on != "halves":
        raise UsageError(
            f"--repeats needs something to draw: --fit-rows N, or a protocol on halves. "
            f"{preset.name} always fits on the same objects."
        )
    name, summary, drawn = preset.name, preset.summary, repeats or 1
    if normaliser not in (None, preset.normaliser):
        normaliser = ",".join(part.strip() for part in normaliser.split(","))
        name += f"+{normaliser}"
    if fit_rows is not None:
        name += f"+rows={fit_rows}" + (f"x{drawn}" if drawn > 1 else "")
        summary += f", on {fit_rows} objects of each category, drawn " + times(drawn)
    elif drawn > 1:
        name += f"+repeats={drawn}"
        summary += f", drawn {times(drawn)}"
    return replace(
        preset, name=name, summary=summary, fit_rows=fit_rows, repeats=drawn, seed=seed,
        normaliser=normaliser or preset.normaliser,
    )  # fmt: skip


def alike(protocol: IodProtocol) -> list[IodProtocol]:
    """The presets that stand beside `protocol` in its result: all others, with its normaliser and
    its draws."""
    return [
        derived(
            preset,
            normaliser=protocol.normaliser,
            fit_rows=protocol.fit_rows,
            repeats=protocol.repeats
            if protocol.fit_rows is not None or preset.fitted_on == "halves"
            else None,
            seed=protocol.seed,
        )
        for name, preset in IOD_PROTOCOLS.items()
        if name != protocol.name.partition("+")[0]
    ]


def times(number: int) -> str:
    """once, or 10 times."""
    return "once" if number == 1 else f"{number} times"
