"""Pairs through CNNGeo, CNNInlier and A2Net against the passes of their backbone.

Wanted: a batch of pairs in at most 1.1 times the backbone passes they need: one a picture, and one of each
target read along the first warp. Cells, heads and points are what is left. All networks are
untrained, which costs the same.
"""

from collections.abc import Callable

import torch
from timing import show, take_turns

from jladkit.baselines.a2net import A2Net, A2NetConfig
from jladkit.baselines.parametric import ModelConfig, ParametricNet

PAIRS, POINTS = 16, 20  # a batch of `predict`


def candidates(net: ParametricNet) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    size = net.config.size
    source, target = torch.rand(2, PAIRS, 3, size, size)
    points = torch.rand(PAIRS, POINTS, 2)

    @torch.inference_mode()
    def whole() -> None:
        maps_s, _ = net.decode(net.encode(source))
        maps_t, pictures = net.decode(net.encode(target))
        net.chain(maps_s, maps_t, pictures)(2 * points - 1)

    @torch.inference_mode()
    def passes() -> None:
        for images in (source, target, target):
            net.features(images)

    return {"a batch of pairs": whole, "three passes each": passes}


def main() -> None:
    torch.manual_seed(0)
    nets = {
        "cnngeo, cnninlier": ParametricNet(ModelConfig(weights="random")),
        "a2net": A2Net.make(A2NetConfig(weights="random")),
    }
    for name, net in nets.items():
        seconds = take_turns(candidates(net.eval()), rounds=7)
        show(
            f"{name}: {PAIRS} pairs, affine then spline, {torch.get_num_threads()} threads",
            seconds,
            {"pairs / passes (wanted: 1.1)": ("a batch of pairs", "three passes each")},
        )


if __name__ == "__main__":
    main()
