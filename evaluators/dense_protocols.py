"""The presets of flow accuracy and of label transfer."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FlowProtocol:
    """How dense fields become a share of right pixels.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        direction: "source->target": the field starts at the source's pixels.
        frame: "stored", distances are in pixels of the target's picture in dataset.h5.
        foreground: which pixels of the source count: "known-flow", those whose true flow is known.
        extent: the length alpha is a share of: the longer side of the target's picture.
        comparator: whether an error of exactly alpha x extent is right ("<=").
        unknown: what a counted pixel without a prediction is: "wrong".
        aggregation: "pair-mean": right pixels over counted ones in each pair, then the mean over
            pairs, each direction of a pair of pictures being one. (The mean of categories and the
            pooled pixels are reported beside it.)
    """

    name: str
    version: int
    summary: str
    direction: Literal["source->target"]
    frame: Literal["stored"]
    foreground: Literal["known-flow"]
    extent: Literal["target-picture"]
    comparator: Literal["<="]
    unknown: Literal["wrong"]
    aggregation: Literal["pair-mean"]


FLOW_PROTOCOLS = {
    # Taniai et al. (CVPR 2016), as their evaluation kit computes it: RunEvaluation.m and
    # compute_scores.m take flow below 1e9 for the foreground, the size of the picture that the
    # flow leads to, and count an error above the threshold as wrong. (The kit's readme says "less
    # than" of the wrong ones, which its code does not do.)
    "tss": FlowProtocol(
        name="tss",
        version=1,
        summary="pixels of the source with known flow; right within alpha times the longer side "
        "of the target's picture; mean over pairs",
        direction="source->target",
        frame="stored",
        foreground="known-flow",
        extent="target-picture",
        comparator="<=",
        unknown="wrong",
        aggregation="pair-mean",
    ),
}


@dataclass(frozen=True)
class TransferProtocol:
    """How an object's outline is carried from source to target, and compared with the target's.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        carried: "mask": each pixel of the target reads the source's mask where the field sends it;
            "polygon": the source's vertices are carried over and the polygon is filled.
        direction: of the field or the points that this needs.
        side: the target's picture is scaled down so that its longer side is at most this, None
            for the stored picture. Width and height lose their fraction.
        measures: what is reported. "lt-acc", label transfer accuracy: the share of the target's
            pixels, background too, whose label is right. "iou": intersection over union of the
            two masks. "loc-err", localisation error: see `jladkit.evaluators.transfer`.
        aggregation: "pair-mean": the plain mean over pairs. (The mean of categories beside it.)
    """

    name: str
    version: int
    summary: str
    carried: Literal["mask", "polygon"]
    direction: Literal["source->target", "target->source"]
    side: int | None
    measures: tuple[str, ...]
    aggregation: Literal["pair-mean"]


TRANSFER_PROTOCOLS = {
    # Rocco et al., WeakAlign (CVPR 2018), util/eval_util.py: area_metrics.
    "rocco-masks": TransferProtocol(
        name="rocco-masks",
        version=1,
        summary="the source's mask, read bilinearly where the target's pixels come from, above "
        "0.5; all pixels of the target; mean over pairs",
        carried="mask",
        direction="target->source",
        side=None,
        measures=("lt-acc", "iou", "loc-err"),
        aggregation="pair-mean",
    ),
    # Min et al., HPF (ICCV 2019), model/evaluation.py: eval_caltech; DHPF after it.
    "hpf-polygons": TransferProtocol(
        name="hpf-polygons",
        version=1,
        summary="the source's polygon, its vertices carried over and filled in the target's "
        "picture at a longer side of at most 300; all its pixels; mean over pairs",
        carried="polygon",
        direction="source->target",
        side=300,
        measures=("lt-acc", "iou"),
        aggregation="pair-mean",
    ),
}
