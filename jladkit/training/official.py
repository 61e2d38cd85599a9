"""Checkpoints as other authors released them: pickles of torch, read without running their code."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

from jladkit.errors import JladkitError

# What such files hold beside tensors: the options of a training, and curves of losses. Loading
# them makes objects of these types and nothing else. The names on the right are NumPy 1's.
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")},
    *((getattr(multiarray, name), f"{package}.multiarray.{name}")
      for name in ("_reconstruct", "scalar") for package in ("numpy.core", "numpy._core")),
]  # fmt: skip


def read_official(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a .pth.tar, under "state_dict" or alone, and the options under "args", if any.

    Raises:
        JladkitError: there is no such file, it is no checkpoint of torch, or it holds no tensors.
    """
    if not path.is_file():
        raise JladkitError(f"There is no checkpoint {path}.")
    try:
        with torch.serialization.safe_globals(HARMLESS):
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and tar each raise their own kinds
        raise JladkitError(
            f"{path} cannot be read as a checkpoint of its authors ({type(error).__name__}): it "
            "must be what torch.save wrote, with tensors, numbers and options in it and no code."
        ) from error
    state = saved.get("state_dict", saved) if isinstance(saved, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise JladkitError(f"{path} must hold tensors by name, alone or under the key state_dict.")
    args = saved.get("args", {}) if state is not saved else {}
    return dict(state), dict(vars(args)) if isinstance(args, argparse.Namespace) else dict(args)
