"""CNNGeo: Rocco, Arandjelović, Sivic, "Convolutional neural network architecture for geometric
matching", CVPR 2017 (TPAMI 2018 adds homographies and ResNet-101).

A dense correlation of frozen features, read by a small convolutional head, gives an affine warp; a
second head gives a thin-plate spline on top of it. Both learn from known warps of single pictures.

What differs: pictures are squashed objects, where the papers take whole photographs of PASCAL VOC;
the recipe `cpu` has EfficientNet-Lite0 maps, and shows the target's whole picture rather than the
middle 9/16 of it. Gradients are clipped at a norm of 10. ±1 of a warp's frame is the outer edge of the
picture, not the centre of its outermost pixel, except for released weights. The frozen backbone's
batch normalisation stays in evaluation mode; in the released code its statistics drift.

Reported: PF-WILLOW PCK@0.1 of 0.57 (VGG-16, affine and spline, PASCAL; CVPR 2017), in the released
code 0.484 (affine), 0.486 (homography), 0.538 (spline), one stage each with VGG-16 on Street View. In
the joint method's Table 3, PF-PASCAL at 0.05 / 0.1 / 0.15: 36.9 / 62.3 / 71.4.

The recipe `cpu` beats the identity where objects differ in pose (AnimalPose), and falls behind it on
rendered objects of like viewpoint (PASCAL3D+ CAD), whose boxes align them well already.
"""

from jladkit.baselines.parametric_method import Parametric


class CNNGeo(Parametric):
    """Regresses an affine warp and a spline from the correlation of two pictures (CNNGeo, CVPR 2017).

    An EncodedMatcher (jladkit.methods).
    """

    name = "cnngeo"
