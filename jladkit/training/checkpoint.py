"""Checkpoints: safetensors with JSON beside the tensors; nothing in them can run.

model.safetensors is what `predict` and `evaluate` take. state.safetensors is what `--resume`
takes: the same and the optimiser's moments.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jladkit.errors import JladkitError
from jladkit.formats.files import check_schema, from_json, to_json, written_aside

FORMAT = "jladkit-checkpoint"
SCHEMA = 1


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], label: Mapping[str, Any]) -> None:
    """Write tensors and their label (method, config, data set, step, scores), or nothing."""
    metadata = {"format": FORMAT, "schema": str(SCHEMA), "label": to_json(dict(label))}
    with written_aside(path) as aside:
        try:
            save_file({k: v.detach().contiguous() for k, v in tensors.items()}, aside, metadata)
        except SafetensorError as error:  # a full disk
            raise JladkitError(f"{path} could not be written: {error}.") from error


def read_label(path: Path, method: str | None = None) -> dict[str, Any]:
    """The label of a checkpoint, without its tensors.

    Raises:
        JladkitError: no such file, or it is no checkpoint of ours, or of another method than `method`.
    """
    if not path.is_file():
        raise JladkitError(f"There is no checkpoint {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        label = from_json(metadata["label"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise JladkitError(
            f"{path} is not a jladkit checkpoint; `jladkit train` writes model.safetensors."
        ) from error
    if metadata.get("format") != FORMAT:
        raise JladkitError(
            f"{path} must be a {FORMAT} file, but its format is {metadata.get('format')!r:.40}."
        )
    check_schema(path, metadata.get("schema"), SCHEMA, "train again with this version.")
    if method is not None and label.get("method") != method:
        raise JladkitError(
            f"{path} is a checkpoint of the method {label.get('method')!r}, not of {method!r}."
        )
    return label


def read_checkpoint(
    path: Path, method: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and label of a checkpoint.

    Raises:
        JladkitError: it is no checkpoint of ours, or of another method than `method`.
    """
    label = read_label(path, method)
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, label  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise JladkitError(f"{path} is damaged: {error}.") from error
