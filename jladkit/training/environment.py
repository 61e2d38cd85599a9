"""Where a number was made: versions, device, commit. Written into checkpoints and predictions."""

import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

import jladkit


def environment(device: str) -> dict[str, Any]:
    """Versions, device, and the commit of this checkout where there is one."""
    return {
        "jladkit": jladkit.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "device": device,
        **commit(),
    }


def commit() -> dict[str, Any]:
    """The commit of the checkout that jladkit was imported from, and whether it was changed."""
    folder = Path(jladkit.__file__).parent.parent
    if not (folder / ".git").exists():
        return {"commit": None, "uncommitted_changes": None}

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD") or None,
            "uncommitted_changes": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except OSError:  # no git on this machine
        return {"commit": None, "uncommitted_changes": None}


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def now() -> str:
    """UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()
