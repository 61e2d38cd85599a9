"""What a recipe of the joint method can say: the sections [model], [loss], [train] and [warp]."""

from dataclasses import dataclass, field

from jladkit.errors import UsageError
from jladkit.model.joint import ModelConfig
from jladkit.model.warps import WarpRange

MARGINS = {10: 0.05, 15: 0.03, 30: 0.02}  # the paper's c
JOINT_FORMS = ("printed", "normalised", "coordinates", "none")
OVER_CELLS = ("mean", "sum")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class LossConfig:
    """Weights and choices of the losses; numbers in brackets are the paper's equations.

    Attributes:
        window, temperature: of (7).
        margin: c of (9); 0 takes the paper's for K = 10, 15, 30, and for
            others that of the next smaller of these, scaled by 1/K.
        concentration, separation: λ_con, λ_sep of L_D.
        presence: weight in L_D of a hinge on each map's peak (not in the paper).
        equivariance: weight of (2) in pretraining.
        keep_equivariance: (2) goes on in phase "detect", under λ_D. The paper drops it; without
            it landmarks were seen to move half as much with the object.
        joint: "printed" is (10), "normalised" compares maps of equal mass relative to their own
            norms, "coordinates" the landmarks' positions, "none" leaves (10) out: a control that
            sees real pairs and learns separately.
        over_cells: (6) and the printed (10) are "sum"s over cells, as printed, or "mean"s, so that
            weights do not depend on map size. The other forms of (10) are relative anyway.
        noise: length of the Gaussian noise that bends both pictures' features in (1), in lengths of
            theirs (not in the paper). Two pictures of different objects do not match as well as a
            picture and its own warp: a net that has seen only such believes every match.
        pretrain_anchors: weight of (1) in pretraining; 0 leaves the field as it is where nothing is
            learned, to begin phase "align" with.
        anchors: weight of (1) in phase "align" too (not in the paper); it keeps a trained W_F from
            features that (6) likes and that say only where in the picture they are.
        identity: weight of the field's mean squared displacement in phase "align": a control
            that pulls pairs together without landmarks (not in the paper).
        align, detect: (λ_D, λ_A, λ_J) of (11) in each phase.
    """

    window: int = 5
    temperature: float = 20.0
    margin: float = 0.0
    concentration: float = 1.0
    separation: float = 1.0
    presence: float = 0.03
    equivariance: float = 100.0
    keep_equivariance: bool = True
    joint: str = "normalised"
    over_cells: str = "mean"
    noise: float = 0.0
    pretrain_anchors: float = 1.0
    anchors: float = 0.0
    identity: float = 0.0
    align: list[float] = field(default_factory=lambda: [1.0, 10.0, 30.0])
    detect: list[float] = field(default_factory=lambda: [10.0, 1.0, 100.0])

    def __post_init__(self) -> None:
        if self.joint not in JOINT_FORMS:
            raise UsageError(
                f"loss.joint must be one of {', '.join(JOINT_FORMS)}, not {self.joint!r}."
            )
        if self.over_cells not in OVER_CELLS:
            raise UsageError(
                f"loss.over_cells must be one of {', '.join(OVER_CELLS)}, not {self.over_cells!r}."
            )
        for name in ("pretrain_anchors", "anchors", "noise"):
            if getattr(self, name) < 0:
                raise UsageError(f"loss.{name} must be at least 0, but is {getattr(self, name)}.")
        for name in ("align", "detect"):
            if len(getattr(self, name)) != 3:
                raise UsageError(f"loss.{name} must be three weights: λ_D, λ_A, λ_J.")
        if self.window < 1:
            raise UsageError(f"loss.window must be at least 1, but is {self.window}.")


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, from which seed.

    Attributes:
        rounds: alternations of align and detect; the paper stops at 4.
        learning_rates: of pretraining, of the first half of the rounds, of the second.
        start: a checkpoint whose weights training begins with, and whose [model] it has where the
            recipe says nothing else; "" for none.
        backbone_from: "" keeps W_F frozen and computes its maps once; else the module of the
            backbone from which on it is trained ("blocks.4").
        backbone_rate: the learning rate of what is trained of it, as a share of the phase's; at
            the full rate (6) was seen to flatten the features within a hundred steps.
        precision: of the heads' convolutions and products in training; "bfloat16" takes half
            the time or less on processors with AMX, and more on those without bfloat16.
        warps: of each training picture whose features are computed once and drawn from; 0 warps
            pictures anew in every step. Of a backbone that is trained, what comes before
            `backbone_from` is kept in the same way, unless this is 0.
        snapshots: keep the best weights as they are at the end of each phase too.
    """

    seed: int = 0
    batch: int = 16
    synthetic_steps: int = 120
    rounds: int = 3
    align_steps: int = 60
    detect_steps: int = 60
    learning_rates: list[float] = field(default_factory=lambda: [1e-3, 1e-3, 2e-4])
    start: str = ""
    backbone_from: str = ""
    backbone_rate: float = 1.0
    precision: str = "float32"
    warps: int = 0
    snapshots: bool = False
    validate_every: int = 50

    def __post_init__(self) -> None:
        if len(self.learning_rates) != 3 or min(self.learning_rates) <= 0:
            raise UsageError("train.learning_rates must be three numbers above 0.")
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"train.precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}."
            )
        if self.backbone_rate <= 0:
            raise UsageError(f"train.backbone_rate must be above 0, but is {self.backbone_rate}.")
        least = {"batch": 1, "validate_every": 1, "seed": 0, "rounds": 0}
        least |= {"warps": 0, "synthetic_steps": 0, "align_steps": 0, "detect_steps": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value < bound:
                raise UsageError(f"train.{name} must be at least {bound}, but is {value}.")


SECTIONS = {"model": ModelConfig, "loss": LossConfig, "train": TrainConfig, "warp": WarpRange}


def margin_for(landmarks: int) -> float:
    """The paper's c where it gives one, else the largest K below has its c scaled by 1/K."""
    nearest = max((k for k in MARGINS if k <= landmarks), default=min(MARGINS))
    return MARGINS[nearest] * nearest / landmarks
