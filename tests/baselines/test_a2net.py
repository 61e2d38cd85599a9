"""A2Net: its head written out, and its two orders."""

import pytest
import torch
from torch import Tensor

from jladkit.baselines.a2net import A2Net, A2NetConfig, AttentiveHead
from jladkit.errors import UsageError
from jladkit.model.global_correlation import offset_aware


def volume(cells: int) -> Tensor:
    return torch.rand(2, cells * cells, cells, cells, generator=torch.manual_seed(1))


def test_the_head_has_the_papers_size():
    counts = [sum(p.numel() for p in AttentiveHead(15, k, False).parameters()) for k in ("affine", "tps")]  # fmt: skip
    assert counts == [955_036, 956_584]


def test_theta_is_the_attended_sum_written_out():
    torch.manual_seed(0)
    head = AttentiveHead(9, "affine", False).eval()
    given = volume(9)
    with torch.inference_mode():
        seen = head.preconv(offset_aware(given))  # (2, 128, 3, 3)
        expected = torch.zeros(2, 6)
        for b in range(2):
            places, scores = [], []
            for y in range(3):
                for x in range(3):
                    cell = seen[b : b + 1, :, y : y + 1, x : x + 1]
                    own = head.weight[:, :, y : y + 1, x : x + 1]
                    places.append(head.proj(head.conv(torch.cat([own, cell], dim=1))).flatten())
                    scores.append(head.att(cell).flatten()[0])
            share = torch.stack(scores).exp()
            share = share / share.sum()
            attended = sum(s * p for s, p in zip(share, places, strict=True))
            expected[b] = head.linear.weight @ attended + head.linear.bias
        torch.testing.assert_close(head(given), expected, atol=1e-5, rtol=1e-4)


def test_the_setting_decides_the_order():
    heads = [A2Net.make(A2NetConfig(weights="random", layers=["blocks.2"], size=64, stages=["affine"], offset=o)).heads["affine"] for o in ("true", "released")]  # fmt: skip
    heads[1].load_state_dict(heads[0].state_dict())
    one, other = (head.eval()(volume(8)) for head in heads)
    assert not torch.allclose(one, other)
    with pytest.raises(UsageError, match=r"model\.offset must be one of true, released, not 'x'"):
        A2NetConfig(offset="x")
    with pytest.raises(UsageError, match="have 4 x 4 cells; the head needs 7 x 7"):
        AttentiveHead(4, "affine", False)
