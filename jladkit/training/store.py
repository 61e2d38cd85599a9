"""Feature maps of a frozen backbone, computed once: in memory, or in a file that runs share."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from jladkit.errors import JladkitError
from jladkit.formats.files import make_folder, to_json, written_aside
from jladkit.model.backbones import Backbone
from jladkit.model.halves import Front
from jladkit.training import ranks

Maps = Callable[[NDArray[np.int64]], Tensor]
BATCH = 16


def stored_maps(
    backbone: Backbone | Front,
    pictures: Maps,
    count: int,
    *,
    key: Mapping[str, Any],
    folder: Path | None,
    device: torch.device,
    label: str,
    progress: bool,
) -> Maps:
    """The maps of `count` pictures, in half precision.

    Args:
        pictures: from (B,) numbers below `count` to (B, 3, H, W) in [0, 1].
        key: whatever the pictures depend on; with the backbone's own weights it names the file.
        folder: where the file stands or will stand; None keeps the maps in memory.
        device: where maps are computed and wanted.
        label: of the progress bar.

    Returns:
        A function from (B,) numbers to their (B, C, h, w) float32 maps.

    Raises:
        JladkitError: the file in `folder` is not what its name says.
    """
    if folder is None:
        store = compute(backbone, pictures, count, None, device, label, progress)
    else:
        path = folder / f"maps-{name_of(backbone, key)}.npy"
        if not path.exists() and ranks.first_here():
            make_folder(folder)
            with written_aside(path) as aside:
                compute(backbone, pictures, count, aside, device, label, progress)
        ranks.wait()
        store = opened(path, count)

    def maps(wanted: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.asarray(store[wanted])).float().to(device)

    return maps


def compute(
    backbone: Backbone | Front,
    pictures: Maps,
    count: int,
    path: Path | None,
    device: torch.device,
    label: str,
    progress: bool,
) -> NDArray[np.float16]:
    """(count, C, h, w), in memory or written to `path` while they are computed."""
    store: NDArray[np.float16] | None = None
    with tqdm(total=count, desc=label, unit="image", disable=not progress) as bar:
        for start in range(0, count, BATCH):
            part = np.arange(start, min(start + BATCH, count))
            with torch.inference_mode():
                found = backbone(pictures(part).to(device)).half().cpu().numpy()
            if store is None:
                shape = (count, *found.shape[1:])
                store = np.empty(shape, np.float16) if path is None else on_disk(path, shape)
            store[part] = found
            bar.update(len(part))
    assert store is not None
    return store


def on_disk(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """A new file of zeros, mapped into memory.

    Its room is taken at once: a mapped page that finds no room on the disk would end the process.

    Raises:
        OSError: there is no room.
    """
    store = np.lib.format.open_memmap(path, "w+", np.float16, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return store


def opened(path: Path, count: int) -> NDArray[np.float16]:
    """A file of maps, read as it is asked for."""
    try:
        store = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        store = np.empty(0, np.float16)
    if store.dtype != np.float16 or store.ndim != 4 or len(store) != count:
        raise JladkitError(f"{path} must hold {count} feature maps and does not. Delete it.")
    return store


def name_of(backbone: Backbone | Front, key: Mapping[str, Any]) -> str:
    """A name that another backbone or other pictures do not have."""
    digest = hashlib.sha256(to_json({**key, "layers": backbone.layers}).encode())
    for name, tensor in backbone.body.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
