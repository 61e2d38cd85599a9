"""The U-Net that gives residual affine fields."""

import pytest
import torch

from jladkit.model.geometry_net import GeometryNet


@pytest.mark.parametrize(("depth", "side"), [(1, 6), (2, 8), (4, 16)])
def test_it_starts_at_zero_and_every_layer_learns_after_a_step(depth: int, side: int):
    net = GeometryNet(2, 4, depth, 5)
    volume = torch.rand(2, 25, side, side)
    assert net(volume).shape == (2, 2, 3, side, side)
    assert not net(volume).any()
    torch.nn.init.normal_(net.last.weight)
    net(volume).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_places_count_in_radii_of_the_window_and_the_linear_part_in_ones():
    net = GeometryNet(3, 4, 1, 3)
    with torch.no_grad():
        net.last.bias += 1  # pyright: ignore
    found = net(torch.zeros(1, 49, 4, 4))
    assert found[0, 0, :, 2, 2].tolist() == found[0, 1, :, 2, 2].tolist() == [1, 1, 3]


def test_the_paper_s_sizes_double_up_to_512():
    net = GeometryNet(4, 64, 4, 9)
    widths = [layers[0][0].out_channels for layers in net.down]  # pyright: ignore
    assert widths == [64, 128, 256, 512, 512]
    assert [layers[0][0].in_channels for layers in net.up] == [1024, 768, 384, 192]  # pyright: ignore
    assert net.last.kernel_size == (9, 9) and net.last.out_channels == 6
