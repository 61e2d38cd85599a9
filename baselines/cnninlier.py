"""CNNInlier (weakalign): Rocco, Arandjelović, Sivic, "End-to-end weakly-supervised semantic
alignment", CVPR 2018.

CNNGeo's two stages, affine and thin-plate spline, begun on known warps; then pairs of different
objects of a category, in which the warps are moved so that more of the correlation agrees with them
(jladkit.model.warp_losses.soft_inliers).

What differs, beside what jladkit.baselines.cnngeo says: the second warp is composed with the first
as it is, where the released code reads the first one's grid bilinearly and drops every cell beside one
that leaves the picture; a cell's centre lies where it is, where theirs is put at 210 / 227 of the
half side. The recipe `cpu` keeps the backbone frozen and does not crop, and its rate is higher, since
it has a hundred steps and not thousands. Pictures are not mirrored.

Reported: PF-PASCAL PCK@0.1 (scnet) of 75.8. In the joint method's
Table 3, at 0.05 / 0.1 / 0.15: 44.1 / 68.2 / 74.8.
"""

from jladkit.baselines.parametric_method import SECTIONS, Parametric
from jladkit.baselines.parametric_trainee import WeakConfig


class CNNInlier(Parametric):
    """CNNGeo's warps, trained further on real pairs by soft inliers (CNNInlier, CVPR 2018).

    An EncodedMatcher (jladkit.methods).
    """

    name = "cnninlier"
    sections = SECTIONS | {"weak": WeakConfig}
