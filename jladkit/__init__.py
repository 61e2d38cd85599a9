"""jladkit: data sets, methods and scores for semantic alignment and landmark detection.

    import jladkit

offers the functions of jladkit.api; they, and torch with them, are imported when they are used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jladkit.api import (
        as_text,
        evaluate,
        load_method,
        open_dataset,
        predict,
        read_predictions,
    )

try:
    __version__ = version("jladkit")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = ["as_text", "evaluate", "load_method", "open_dataset", "predict", "read_predictions"]


def __getattr__(name: str) -> Any:
    """A function of jladkit.api, imported now."""
    if name not in __all__:
        raise AttributeError(f"module 'jladkit' has no attribute {name!r}")
    return getattr(import_module("jladkit.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
