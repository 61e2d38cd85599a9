"""The presets of PCK. See protocols.py for what a preset is.

Each comment says where its choices were read: repository, file, and the date of the commit. A
repository asks for the carried keypoint itself, and some round it first (SCNet, SFNet,
DenseMatching, CATs); that belongs to the prediction and is not undone here.

Version 2 of the squashing presets: a distance of exactly alpha times the extent is decided by the
comparator. In version 1 rounding decided, as it does in the repositories, which count in float32.

Boxes: an extent is x2 - x1 or y2 - y1 of the stored box. For PF-PASCAL (with its .mat files) and
SPair-71k these are the numbers of their annotations; there and in PF-WILLOW the stored picture is
the original one. Elsewhere a box has the edges that the builder's docstring says.
"""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["source->target", "target->source"]
Frame = Literal["stored", "original", "square", "longer-side"]
Extent = Literal[
    "target-box", "source-box", "last-source-box",
    "target-keypoints", "source-keypoints", "target-keypoints-padded",
    "target-picture", "source-picture", "side",
]  # fmt: skip
Aggregation = Literal["pair-mean", "pooled", "category-mean", "category-pooled"]


@dataclass(frozen=True)
class PckProtocol:
    """How transferred keypoints become a share of right ones.

    Attributes:
        name, version: what a result is cited by.
        summary: the choices below in words.
        direction: "source->target" carries the source's keypoints over and compares them in the
            target's picture; "target->source" the other way round.
        frame: the pixels distances are measured in: "stored" is the picture in dataset.h5,
            "original" the file it was made from, "square" the stored picture
            squashed to `side` x `side`, whatever its aspect, "longer-side" the stored picture
            scaled until its longer side is `side`.
        side: in pixels; None for "stored" and "original".
        extent: the length alpha is a share of, always the longer of two sides, in the frame of
            the picture it is taken from. "...-box" is the object's box; "last-source-box" that of
            the last pair's source, for all pairs. "...-keypoints" is the extent of the keypoints
            that count, that is, of those visible in both; "target-keypoints-padded" the same
            after a keypoint at (-1, -1) was added. "...-picture" is the picture itself, "side"
            the frame's `side`.
        comparator: whether a distance of exactly alpha x extent is right ("<=") or not ("<").
        rounding: what is done to the true keypoints, in pixels of the stored picture, before
            they are compared or measured.
        aggregation: what the headline is. "pair-mean": right keypoints over counted keypoints in
            each pair, then the plain mean over pairs. "pooled": over the keypoints of all pairs.
            "category-mean": the mean over categories of each one's pair mean. "category-pooled":
            points pooled within each category, then the mean over categories weighted by their
            pairs. The first three stand in every result, whichever is the headline.
    """

    name: str
    version: int
    summary: str
    direction: Direction
    frame: Frame
    side: int | None
    extent: Extent
    comparator: Literal["<=", "<"]
    rounding: Literal["none", "round", "floor"]
    aggregation: Aggregation

    def __post_init__(self) -> None:
        if (self.side is None) != (self.frame in ("stored", "original")):
            raise ValueError(f"{self.name}: a side goes with the frames square and longer-side.")
        if self.extent == "side" and self.side is None:
            raise ValueError(f"{self.name}: the extent is the frame's side, but it has none.")


def protocol(
    name: str,
    summary: str,
    extent: Extent,
    *,
    version: int = 1,
    direction: Direction = "source->target",
    frame: Frame = "stored",
    side: int | None = None,
    comparator: Literal["<=", "<"] = "<=",
    rounding: Literal["none", "round", "floor"] = "none",
    aggregation: Aggregation = "pair-mean",
) -> PckProtocol:
    """A preset that differs from `jlad` in what is given."""
    return PckProtocol(
        name, version, summary, direction, frame, side, extent, comparator, rounding, aggregation
    )


PRESETS = (
    protocol(
        "jlad",
        "distance in pixels of the target's picture; right within alpha times the longer side of "
        "the target's box; mean over pairs",
        "target-box",
    ),
    # Han et al., SCNet (ICCV 2017). k-han/SCNet, SCNet/eva_PCK_SCNet_AG.m, 2019-04-25, 'same
    # size': pictures of 224 x 224, compared in image B. It bins by hundredths, which makes "<";
    # the tables that cite it are made with "<=", as Rocco spread it.
    protocol(
        "scnet",
        "both pictures squashed to 224 x 224; right within alpha times 224; mean over pairs",
        "side",
        version=2,
        frame="square",
        side=224,
    ),
    # ignacio-rocco/weakalign, data/pf_dataset.py and util/eval_util.py, 2018-10-16, pck_procedure
    # 'scnet', the default; ignacio-rocco/ncnet, lib/pf_dataset.py, 2021-02-04, the same.
    protocol(
        "rocco-scnet",
        "scnet from target to source: both pictures squashed to 224 x 224; right within alpha "
        "times 224; mean over pairs",
        "side",
        direction="target->source",
        version=2,
        frame="square",
        side=224,
    ),
    # The same files, pck_procedure 'pf', and PFDataset for PF-WILLOW; A2Net's and SFNet's
    # PF-WILLOW too. Their "max bounding box side" is of the keypoints.
    protocol(
        "rocco-pf",
        "target's keypoints carried to the source; right within alpha times the longer side of "
        "the extent of the source's keypoints; mean over pairs",
        "source-keypoints",
        direction="target->source",
    ),
    # Ham et al., Proposal Flow (CVPR 2016). bsham/ProposalFlow, PF-dataset-WILLOW-code/
    # dense_flow_eva_WILLOW.m, 2016-05-09: bins of hundredths, of which alpha takes those below it.
    protocol(
        "proposal-flow",
        "right below alpha times the longer side of the target's box (in PF-WILLOW that of its "
        "keypoints); mean over categories of the mean over pairs",
        "target-box",
        comparator="<",
        aggregation="category-mean",
    ),
    # juhongm999/hpf, data/dataset.py, data/pfpascal.py and model/evaluation.py, 2023-11-04, thres
    # 'img', its choice for PF-PASCAL. It scales pictures to at most 300 pixels, box and all.
    protocol(
        "hpf",
        "right within alpha times the longer side of the target's picture; mean over pairs",
        "target-picture",
    ),
    # juhongm999/hpf, data/spair.py, 2023-11-04, thres 'bbox': the reading of the SPair-71k paper.
    protocol(
        "spair",
        "SPair-71k: right within alpha times the longer side of the target's box; mean over pairs",
        "target-box",
    ),
    # juhongm999/hpf, data/pfwillow.py, 2023-11-04: the extent of ten keypoints without padding.
    protocol(
        "willow-kp",
        "PF-WILLOW's bbox-kp: right within alpha times the longer side of the extent of the "
        "target's keypoints; mean over pairs",
        "target-keypoints",
    ),
    # juhongm999/dhpf, data/dataset.py, data/pfpascal.py and common/evaluation.py, 2022-12-08,
    # thres 'img', its choice for PF-PASCAL; CHM (2022-12-08) the same.
    protocol(
        "dhpf",
        "both pictures squashed to 240 x 240; right within alpha times 240; mean over pairs",
        "side",
        version=2,
        frame="square",
        side=240,
    ),
    # The same, data/spair.py, thres 'bbox', its choice for SPair-71k: the box is squashed too.
    protocol(
        "dhpf-box",
        "both pictures squashed to 240 x 240; right within alpha times the longer side of the "
        "target's squashed box; mean over pairs",
        "target-box",
        version=2,
        frame="square",
        side=240,
    ),
    # SunghwanHong/Cost-Aggregation-transformers, data/dataset.py, data/pfpascal.py and
    # utils_training/evaluation.py, 2024-01-10, thres 'img', its choice for PF-PASCAL.
    protocol(
        "cats",
        "target's keypoints carried to the source, both pictures squashed to 256 x 256; right "
        "within alpha times 256; mean over pairs",
        "side",
        direction="target->source",
        version=2,
        frame="square",
        side=256,
    ),
    # The same, data/spair.py, thres 'bbox', its choice for SPair-71k: the source's box, squashed.
    protocol(
        "cats-box",
        "target's keypoints carried to the source, both pictures squashed to 256 x 256; right "
        "within alpha times the longer side of the source's squashed box; mean over pairs",
        "source-box",
        direction="target->source",
        version=2,
        frame="square",
        side=256,
    ),
    # cvlab-yonsei/SFNet, custom_dataset.py and eval_pascal.py, 2020-07-15, eval_type
    # 'image_size', the default; 288 = (20 - 2) x 16, the padding of 16 being outside.
    protocol(
        "sfnet",
        "target's keypoints carried to the source, both pictures squashed to 288 x 288; right "
        "within alpha times 288; mean over pairs",
        "side",
        direction="target->source",
        version=2,
        frame="square",
        side=288,
    ),
    # The same, eval_type 'bounding_box': column 7 of its list, the source's box.
    protocol(
        "sfnet-box",
        "target's keypoints carried to the source; right within alpha times the longer side of "
        "the source's box; mean over pairs",
        "source-box",
        direction="target->source",
    ),
    # PruneTruong/DenseMatching, datasets/semantic_matching_datasets/semantic_keypoints_datasets.py
    # and validation/flow_evaluation/evaluate_per_dataset.py, 2023-04-20, thres 'img', its choice
    # for PF-PASCAL; the ..._per_image numbers. Of target keypoints that share a pixel it keeps one.
    protocol(
        "dense-matching",
        "target's keypoints carried to the source; right within alpha times the longer side of "
        "the source's picture; mean over pairs",
        "source-picture",
        direction="target->source",
    ),
    # The same, spair.py, thres 'bbox', its choice for SPair-71k.
    protocol(
        "dense-matching-box",
        "target's keypoints carried to the source; right within alpha times the longer side of "
        "the source's box; mean over pairs",
        "source-box",
        direction="target->source",
    ),
    # Tsingularity/dift, eval_spair.py, 2024-05-14, "All per point PCK@0.1" ...
    protocol(
        "dift-point",
        "right within alpha times the longer side of the target's box; over the keypoints of all "
        "pairs",
        "target-box",
        aggregation="pooled",
    ),
    # ... and "All per image PCK@0.1".
    protocol(
        "dift-image",
        "right within alpha times the longer side of the target's box; mean over pairs",
        "target-box",
    ),
    # Junyi42/sd-dino, pck_spair_pascal.py, 2023-10-09: pictures padded to 840 x 840, "Weighted
    # PCK" over categories.
    protocol(
        "sd-dino",
        "right below alpha times the longer side of the target's box; points pooled by category, "
        "mean over categories weighted by their pairs",
        "target-box",
        frame="longer-side",
        side=840,
        comparator="<",
        aggregation="category-pooled",
    ),
    # The same with --PASCAL, which has no thresholds of its own: the padded side.
    protocol(
        "sd-dino-image",
        "longer sides scaled to 840; right below alpha times 840; points pooled by category, mean "
        "over categories weighted by their pairs",
        "side",
        frame="longer-side",
        side=840,
        comparator="<",
        aggregation="category-pooled",
    ),
    # Junyi42/GeoAware-SC, pck_train.py, 2025-03-31, without --KPT_RESULT.
    protocol(
        "geo-aware",
        "right below alpha times the longer side of the target's box; mean over pairs",
        "target-box",
        frame="longer-side",
        side=840,
        comparator="<",
    ),
    # Visual-AI/Semantic-Correspondence, dataset/pfwillow.py and utils/evaluator.py, 2025-12-11:
    # keypoints are floored before everything else.
    protocol(
        "visual-ai-willow",
        "keypoints floored, both pictures squashed to 768 x 768; right within alpha times the "
        "longer side of the extent of the target's keypoints; mean over pairs",
        "target-keypoints",
        version=2,
        frame="square",
        side=768,
        rounding="floor",
    ),
    # Not to be used but to see what a published number was made of. juhongm999/dhpf,
    # data/pfwillow.py, 2022-12-08: the extent is taken after the ten keypoints were filled up with
    # (-1, -1), so it is the largest coordinate plus 1 (juhongm999/dhpf issue 3). CHM fills with
    # -2; CATs does it in the source at 256.
    protocol(
        "willow-padded-bug",
        "WRONG, for comparison with published PF-WILLOW numbers: both pictures squashed to "
        "240 x 240; the extent of the target's keypoints is taken after padding with (-1, -1)",
        "target-keypoints-padded",
        version=2,
        frame="square",
        side=240,
    ),
    # Likewise. PruneTruong/DenseMatching, validation/flow_evaluation/evaluate_per_dataset.py,
    # 2023-04-20, the ..._per_dataset numbers: L_pck is what the last round of the loop left.
    protocol(
        "dense-matching-last-extent-bug",
        "WRONG, for comparison with published per-dataset numbers: target's keypoints carried to "
        "the source; all measured by the box of the last pair's source; over the keypoints of all "
        "pairs",
        "last-source-box",
        direction="target->source",
        aggregation="pooled",
    ),
)
PCK_PROTOCOLS = {preset.name: preset for preset in PRESETS}
