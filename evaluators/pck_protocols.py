"""The presets of PCK. See protocols.py for what a preset is."""

from dataclasses import dataclass
from typing import Literal


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
