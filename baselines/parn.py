"""PARN: Jeon, Kim, Min, Sohn, "PARN: Pyramidal Affine Regression Networks for Dense Semantic
Correspondence", ECCV 2018.

A READING OF THE PAPER. No code of it is public, and this was never compared with the authors'
network; do not quote its scores as the paper's.

What the abstract and the figures say, and this does: affine transforms are estimated from coarse to
fine, for the grids of levels 1, 2 and 3 and then for every pixel; each level regresses a residual
from the correlation of the source with the target as the levels before warp it, and is composed
with them, T_k = T_{k-1} ∘ ΔT_k; the levels are trained one after the other, level 1 on synthetic
affines first, then each on matches of real pairs that are consistent forward and backward, found
within what the level before predicts.

What is a guess: grids of 1, 2 and 4 blocks a side; the bilinear blending between blocks; windows
that shrink level by level, and their radii; L1 as the loss; a tolerance of one cell in the
consistency check; that level 1 is trained on real pairs too; that the levels before stay as they
are; the layers of all networks, the pixel level's U-Net among them (RTN's, by the same authors);
the layers of the backbone, the ranges of the warps, learning rates and lengths.

SUPERVISION. Matches are taken inside the source object's bounding box. So the method is told boxes
as well as pairs; the checkpoint says so in `supervision`, and loss.box=false leaves them out.

Recipe "cpu" has a frozen EfficientNet-Lite0 whose maps are computed once, and group normalisation,
without which levels 2 and 3 learned nothing in its few steps. Recipe "paper" has VGG-16.

Reported: the joint method's paper cites PARN and gives no number of it; what its own paper reports
on PF-PASCAL we could not verify, and do not repeat.
"""

from jladkit.baselines.parn_net import ParnNet
from jladkit.baselines.parn_trainee import SECTIONS, ParnTrainee
from jladkit.training.trained import TrainedMatcher


class Parn(TrainedMatcher):
    """A pyramid of affine fields, from the whole picture to the cell (PARN, ECCV 2018, as read from the paper).

    An EncodedMatcher (jladkit.methods).
    """

    name, sections, network, trainee = "parn", SECTIONS, ParnNet, ParnTrainee
