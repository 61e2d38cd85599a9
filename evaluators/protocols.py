"""Named, versioned sets of the choices that move a score.

A number without its protocol means little in this field: the same predictions score 80 or 70
depending on whose box gives the tolerance. So every such choice is a field here, a preset fills
all of them, and the whole preset is written into the result. A preset whose numbers would change
gets a higher version; its name stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, TypeVar

from jladkit.errors import UsageError


@dataclass(frozen=True)
class PckProtocol:
    """How transferred keypoints become a share of right ones.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        direction: which image's keypoints are carried over, and where they are compared.
        frame: the pixels distances are measured in: "stored" is the picture in dataset.h5,
            "square" that picture squashed to `side` x `side`, whatever its aspect.
        side: the square's side in pixels; None for "stored".
        extent: the length alpha is a share of: "target-box" is the longer side of the target
            object's box, "side" the side of the square.
        comparator: whether a distance of exactly alpha x extent is right ("<=").
        aggregation: "pair-mean": right keypoints over visible keypoints in each pair, then the
            plain mean over pairs. (Pooled and by category are reported beside it.)
    """

    name: str
    version: int
    summary: str
    direction: Literal["source->target"]
    frame: Literal["stored", "square"]
    side: int | None
    extent: Literal["target-box", "side"]
    comparator: Literal["<="]
    aggregation: Literal["pair-mean"]


PCK_PROTOCOLS = {
    "jlad": PckProtocol(
        name="jlad",
        version=1,
        summary="distance in pixels of the target's picture; right within alpha times the longer "
        "side of the target's box; mean over pairs",
        direction="source->target",
        frame="stored",
        side=None,
        extent="target-box",
        comparator="<=",
        aggregation="pair-mean",
    ),
    # Han et al., SCNet (ICCV 2017), as Rocco's evaluation code spread it, in the direction of the
    # original: source to target.
    "scnet": PckProtocol(
        name="scnet",
        version=1,
        summary="both pictures squashed to 224 x 224; right within alpha times 224; mean over "
        "pairs",
        direction="source->target",
        frame="square",
        side=224,
        extent="side",
        comparator="<=",
        aggregation="pair-mean",
    ),
}


@dataclass(frozen=True)
class IodProtocol:
    """How discovered landmarks are regressed onto annotated keypoints, and how that is scored.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        frame: where coordinates have their origin: "corner" is the centre of the top left pixel,
            "centre" the middle of the picture. Both are divided by the picture's longer side, so
            that large pictures weigh no more than small ones. Without a bias the origin matters.
        bias: whether the map has a constant term.
        ridge: weight of the squared coefficients in the fit; 0 is plain least squares.
        fitted_on: "train", the training objects, or "scored", the very objects that are scored.
        normaliser: "iod-pair-or-box": the distance of the category's two eyes where it has such a
            pair, else the longer side of the object's box.
        aggregation: "image-mean": mean over an image's visible keypoints, divided by the image's
            normaliser, then the plain mean over images (never a ratio of means).
    """

    name: str
    version: int
    summary: str
    frame: Literal["corner", "centre"]
    bias: bool
    ridge: Literal[0]
    fitted_on: Literal["train", "scored"]
    normaliser: Literal["iod-pair-or-box"]
    aggregation: Literal["image-mean"]


def iod_protocol(
    name: str,
    summary: str,
    *,
    frame: Literal["corner", "centre"] = "corner",
    bias: bool = False,
    fitted_on: Literal["train", "scored"] = "train",
) -> IodProtocol:
    """A preset that differs from `imm` in what is given."""
    return IodProtocol(
        name=name,
        version=1,
        summary=summary,
        frame=frame,
        bias=bias,
        ridge=0,
        fitted_on=fitted_on,
        normaliser="iod-pair-or-box",
        aggregation="image-mean",
    )


IOD_PROTOCOLS = {
    # Jakab et al., IMM (NeurIPS 2018), and with it most later tables on MAFL and AFLW.
    "imm": iod_protocol(
        "imm", "linear map without bias, origin in the picture's corner, fitted on train"
    ),
    "imm-bias": iod_protocol(
        "imm-bias", "linear map with bias, fitted on train: no origin is favoured", bias=True
    ),
    # Zhang et al., StrucRep (CVPR 2018).
    "strucrep": iod_protocol(
        "strucrep",
        "linear map without bias, origin in the picture's centre, fitted on train",
        frame="centre",
    ),
    # Jeon et al. (ICCV 2019) fit on the annotations of the "testing image pairs".
    "paper": iod_protocol(
        "paper",
        "linear map without bias, origin in the corner, fitted on the scored objects themselves",
        fitted_on="scored",
    ),
}

Preset = TypeVar("Preset")


def find(presets: Mapping[str, Preset], name: str | None, metric: str) -> Preset:
    """The preset called `name`; the first of the table when `name` is None.

    Raises:
        UsageError: there is none of that name; the text offers the nearest one.
    """
    if name is None:
        return next(iter(presets.values()))
    if name not in presets:
        near = get_close_matches(name, presets, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"Unknown protocol {name!r} for {metric}.{hint} Known: {', '.join(presets)}."
        )
    return presets[name]
