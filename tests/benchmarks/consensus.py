"""Neighbourhood consensus against one 4-D convolution written as a loop over its first axis.

Wanted: at least 4x as fast at 25^4, kernels 5, 5, 5, channels 16, 16, 1, in less memory. The
reference takes each slice of the first axis, adds up k 3-D convolutions of its neighbours, and runs
the network on the volume and on the swapped one, as NCNet's released code does.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import show, take_turns
from torch import Tensor

from jladkit.model.consensus import NeighbourhoodConsensus
from jladkit.model.conv4d import Conv4d

SIDE, KERNELS, CHANNELS = 25, [5, 5, 5], [16, 16, 1]


def loop(x: Tensor, layer: Conv4d) -> Tensor:
    """A 4-D convolution, slice by slice."""
    weight = layer.weight.permute(2, 0, 1, 3, 4, 5).contiguous()
    slices = x.permute(2, 0, 1, 3, 4, 5).contiguous()
    sides, half = len(slices), len(weight) // 2
    edge = slices.new_zeros(half, *slices.shape[1:])
    slices = torch.cat([edge, slices, edge])
    y = x.new_zeros(sides, len(x), weight.shape[1], *x.shape[3:])
    for i in range(sides):
        for k in range(len(weight)):
            bias = layer.bias if k == half else None
            y[i] += F.conv3d(slices[i + k], weight[k], bias, padding=half)
    return y.permute(1, 2, 0, 3, 4, 5).contiguous()


def reference(net: NeighbourhoodConsensus, volume: Tensor) -> Tensor:
    """The network on the volume and on the swapped one, by `loop`."""

    def one_way(x: Tensor) -> Tensor:
        for layer in net.layers:
            x = F.relu(loop(x, layer), inplace=True)  # pyright: ignore[reportArgumentType]
        return x

    swap = (0, 1, 4, 5, 2, 3)
    return one_way(volume) + one_way(volume.permute(swap)).permute(swap)


def candidates() -> dict[str, object]:
    torch.manual_seed(0)
    net, volume = NeighbourhoodConsensus(KERNELS, CHANNELS), torch.rand(1, 1, *(SIDE,) * 4)
    return {"ours": lambda: net(volume), "loop": lambda: reference(net, volume)}


def peak_kb() -> int:
    """Of this process alone; what getrusage says begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@torch.inference_mode()
def added_memory(name: str) -> None:
    """Print by how many MB one run raises the peak of this process."""
    torch.set_num_threads(1)
    run = candidates()[name]
    before = peak_kb()
    run()  # pyright: ignore[reportCallIssue]
    print((peak_kb() - before) / 1024)


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    runs = candidates()
    one, other = runs["ours"](), runs["loop"]()  # pyright: ignore
    worst = float((one - other).abs().max() / other.abs().max())
    # The processor's own time, so that other programs do not count.
    seconds = take_turns(runs, rounds=3, clock=time.process_time)  # pyright: ignore
    show(
        f"Neighbourhood consensus, {SIDE}^4, one thread",
        seconds,
        {"loop / ours (wanted: 4 or more)": ("loop", "ours")},
    )
    direct = 2 * 2 * SIDE**4 * 5**4 * (16 + 16 * 16 + 16)
    square = torch.rand(1024, 1024)
    best = min(take_turns({"": lambda: square @ square}, 5, time.process_time).values())
    peak = 2 * 1024**3 / best
    print(f"  {'largest difference, as a share':<44}{worst:10.1e}")
    print(f"  {'plain products at the speed of a matrix one':<44}{1000 * direct / peak:10.2f} ms")
    print(f"  {'ours, as a share of that':<44}{seconds['ours'] * peak / direct:10.2f}")
    for name in runs:
        words = [sys.executable, __file__, name]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        print(f"  {'memory added by ' + name:<44}{float(done.stdout):10.0f} MB")


if __name__ == "__main__":
    added_memory(sys.argv[1]) if len(sys.argv) > 1 else main()
