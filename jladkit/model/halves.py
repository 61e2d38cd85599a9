"""A backbone in two parts: what stays as it is, and what is trained.

The first part gives the same for a picture in every step, so it need be computed only once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.split_module import split_module

from jladkit.model.backbones import Backbone, joined


class Front(nn.Module):
    """What a backbone computes before `layer`: all that the rest reads of it, as one vector."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, body: nn.Module, layer: str) -> None:
        super().__init__()
        self.body, self.layers = body, [*backbone.layers, f"before {layer}"]
        self.register_buffer("mean", backbone.mean, persistent=False)
        self.register_buffer("std", backbone.std, persistent=False)

    def parts(self, images: Tensor) -> list[Tensor]:
        """The tensors (B, ...) that the other part reads."""
        found = self.body((images - self.mean) / self.std)
        return [found] if isinstance(found, Tensor) else list(found)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, D, 1, 1), for Back."""
        flat = torch.cat([part.flatten(1) for part in self.parts(images)], dim=1)
        return flat[:, :, None, None]


class Back(nn.Module):
    """The rest of the backbone. Its parameters are the backbone's own tensors."""

    def __init__(self, body: Any, layers: Sequence[str], shapes: Sequence[torch.Size]) -> None:
        super().__init__()
        self.body, self.layers, self.shapes = body, layers, shapes

    def forward(self, packed: Tensor) -> Tensor:
        """(B, D, 1, 1) of Front -> (B, C, h, w), as Backbone gives them."""
        flat = packed.flatten(1).split([shape.numel() for shape in self.shapes], dim=1)
        parts = [
            part.unflatten(1, shape).contiguous(memory_format=torch.channels_last)
            for part, shape in zip(flat, self.shapes, strict=True)
        ]
        found = self.body(parts[0] if len(parts) == 1 else parts)
        return joined([found[layer] for layer in self.layers])


def halves(backbone: Backbone, layer: str, size: int) -> tuple[Front, Back] | None:
    """`backbone` cut before `layer`, for pictures of `size` x `size`; None where nothing lies before.

    `layer` must be one of its modules; see jladkit.model.backbones.from_layer.
    """
    body = backbone.body
    nodes = list(body.graph.nodes)
    modules = [node for node in nodes if node.op == "call_module"]
    start = next(node for node in modules if f"{node.target}.".startswith(f"{layer}."))
    if start is modules[0]:
        return None
    later = set(nodes[nodes.index(start) :])
    split = split_module(body, nn.Module(), lambda node: int(node in later))
    front = Front(backbone, split.get_submodule("submod_0"), layer)
    with torch.no_grad():
        device = backbone.mean.device
        probe = front.parts(torch.zeros(1, 3, size, size, device=device))
    return front, Back(without_front(split), backbone.layers, [part.shape[1:] for part in probe])


def without_front(split: fx.GraphModule) -> fx.GraphModule:
    """The graph of both parts, begun with what the first one gives."""
    graph = split.graph
    images = next(node for node in graph.nodes if node.op == "placeholder")
    first = next(node for node in graph.nodes if node.target == "submod_0")
    with graph.inserting_before(first):
        first.replace_all_uses_with(graph.placeholder("front"))
    graph.erase_node(first)
    graph.erase_node(images)
    split.delete_submodule("submod_0")
    split.recompile()
    return split
