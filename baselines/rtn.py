"""RTN: Kim, Lin, Jeon, Min, Sohn, "Recurrent Transformer Networks for Semantic Correspondence",
NeurIPS 2018.

A field of local affine transforms starts as the identity. Again and again, the target's features
are read where the field points, correlated with the source's in a window around each cell, and one
U-Net, the same in all iterations and at both levels, gives the residual that is added to the field.
It is trained on synthetic warps first (phase "synthetic"), then on real pairs by the classification
of the centre of each window (phase "weak").

SUPERVISION. The weak phase counts the cells inside the source object's bounding box alone, as the
released code does. It is told boxes as well as pairs; the checkpoint says so in `supervision`, and
loss.box=false leaves them out.

As in the released code, and not as the paper's text reads: fields are summed, T + dT, not composed.

What differs, in all recipes:

- The field goes from source to target in cells of each level, and residual places count in radii of
  the search window; the released code counts in halves of the picture's side, so that the shared
  network's outputs mean twice as many cells at the finer level.
- The weak loss is taken at the last field. The released code takes it before the last residual,
  which is then never taught directly.
- Losses are means over cells; gradients reach the places alone in phase "synthetic", since the
  loss is on them (the released code cuts the linear part's off).
- Synthetic pairs are drawn by jladkit.model.warps on whole stored pictures, mirrored at their
  edges, with the paper's ranges; the released code crops the middle of a padded picture.
- Pairs are turned round at random; the released code mirrors them as well.

Recipe "cpu" differs further: frozen EfficientNet-Lite0; the target's maps are sampled at the
field's places ("maps"), where the released code applies the last convolution to 3x3 patches that
the local affine transforms ("patches", recipe "paper"). Its linear part is then read by nothing and
stays the identity. The network is smaller and has group normalisation, without which it diverged in
the weak phase at rates that train it in minutes; the loss is taken at both levels, with a
temperature. The finer level has one iteration, not three.

Reported: PF-PASCAL PCK@0.1 of 75.9 with ResNet-101 features by the paper; 69.3 on its 12
categories by the joint method's paper (at 0.05 and 0.15: 49.2 and 76.2).
"""

from jladkit.baselines.rtn_net import RtnNet
from jladkit.baselines.rtn_trainee import SECTIONS, RtnTrainee
from jladkit.training.trained import TrainedMatcher


class Rtn(TrainedMatcher):
    """Refines a field of affine warps again and again (RTNs, NeurIPS 2018).

    An EncodedMatcher (jladkit.methods).
    """

    name, sections, network, trainee = "rtn", SECTIONS, RtnNet, RtnTrainee
