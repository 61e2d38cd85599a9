"""NCNet: Rocco, Cimpoi, Arandjelović, Torii, Pajdla, Sivic. Neighbourhood Consensus Networks.
NeurIPS 2018.

All matches of a pair, the correlation of every cell with every cell, stand in one 4-D volume. 4-D
convolutions look at each match together with its neighbours and raise those that agree; mutual
matching before and after lowers what is not best both ways. It learns from image pairs alone:
matches of a pair shall be surer than those of two pictures that have nothing in common.

As in the paper and its released code: the order of the steps, ReLU after every layer, the sum of
both directions, the loss without a temperature, Adam. What differs:

- The default backbone is EfficientNet-Lite0 at 16 x 16 cells; `paper` has ResNet-101 at 25 x 25.
- The best weights are those with the highest PCK on the val pairs; theirs, with the lowest loss.
- Points go from source to target; the released evaluation carries them from target to source.
- Maps' outer cells lie half a cell inside the picture. The released evaluation puts their centres
  at its corners (`corners`, which a released checkpoint turns on).
- Pictures are squashed with antialiasing; theirs, without.
- A negative of the loss is made of the next pair of the batch, which may show the same category.
  So the released code has it; `train.negatives="other"` draws from other categories.
- 4-D convolution goes through the Fourier domain (jladkit.model.conv4d): the same to rounding.

The loss does not see a shift that is the same for all matches. On maps whose neighbouring cells
resemble one another, as those of real pictures do, kernels come out centred; on others they may not.

Reported: PF-PASCAL PCK@0.1 78.9 (protocol `scnet`). Others who trained it with the released code
had 75 to 77 (issue 7 of its repository); it has been evaluated on SPair-71k with 20.1 when trained
there and 26.4 with the released weights (PCK@0.1 per image, Min et al. 2019).
"""

from pathlib import Path

import torch
from torch import Tensor

from jladkit.baselines.ncnet_net import NCNetConfig, NCNetNet
from jladkit.baselines.ncnet_trainee import SECTIONS, NCNetTrainee
from jladkit.errors import JladkitError, UsageError
from jladkit.training.official import read_official
from jladkit.training.recipe import as_table
from jladkit.training.trained import TrainedMatcher

# The released ResNet-101 is a Sequential; which of its modules is which.
RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"}


class NCNet(TrainedMatcher):
    """Filters all matches by neighbourhood consensus in 4-D (NCNet, NeurIPS 2018).

    An EncodedMatcher (jladkit.methods).
    """

    name, sections, trainee = "ncnet", SECTIONS, NCNetTrainee
    network = staticmethod(lambda model, categories: NCNetNet(model))

    @classmethod
    def load_official(cls, path: Path, device: torch.device) -> "NCNet":
        """From a .pth.tar of the authors (ncnet_pfpascal.pth.tar), which has ResNet-101 in it.

        Raises:
            JladkitError: it cannot be read, or its tensors are not those of NCNet.
        """
        state, args = read_official(path)
        try:
            config = NCNetConfig(
                backbone="resnet101",
                layers=["layer3"],
                weights="random",
                size=400,
                kernels=list(args["ncons_kernel_sizes"]),
                channels=list(args["ncons_channels"]),
                corners=True,
            )
            net = NCNetNet(config, backbone_of(state))
            net.consensus.load_state_dict(consensus_of(state))
        except (KeyError, TypeError, RuntimeError, UsageError) as error:
            raise JladkitError(f"{path} is no checkpoint of NCNet: {error}.") from error
        shown = as_table({"model": config})
        return cls(net.eval().to(device), {**shown, "official": path.name})


def backbone_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released backbone's tensors under the names that timm and torchvision have for them."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        # The oldest files call the module "vgg", whatever it is.
        part, _, rest = key.replace("vgg", "model").partition("FeatureExtraction.model.")[2].partition(".")  # fmt: skip
        if part in RESNET:
            found[f"{RESNET[part]}.{rest}"] = value
    return found


def consensus_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released consensus layers' tensors as ours.

    Every second module of theirs is a ReLU. Their kernels lie as (k, O, I, k, k, k): the first of
    the four axes was brought to the front to loop over it.
    """
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("NeighConsensus.conv."):
            number, name = key.removeprefix("NeighConsensus.conv.").split(".")
            straight = value.movedim(0, 2) if name == "weight" else value
            found[f"layers.{int(number) // 2}.{name}"] = straight
    return found
