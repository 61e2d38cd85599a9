"""jladkit in a notebook: what the commands do, as functions. `import jladkit` offers them all.

data = jladkit.open_dataset("birds.h5")
method = jladkit.load_method("nearest")
predictions = jladkit.predict(data, method)
result = jladkit.evaluate(data, predictions, "pck", alphas=[0.05, 0.1])
print(jladkit.as_text(result))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jladkit import registry
from jladkit.cli.text import as_text
from jladkit.errors import UsageError
from jladkit.formats import dataset, outside
from jladkit.formats.dataset import Dataset
from jladkit.formats.predictions import Predictions, check_belongs
from jladkit.formats.result import Result

__all__ = ["as_text", "evaluate", "load_method", "open_dataset", "predict", "read_predictions"]


def open_dataset(path: str | Path) -> Dataset:
    """A dataset.h5, every field checked (jladkit.formats.dataset).

    Raises:
        JladkitError: there is no such file, or it is broken.
    """
    return dataset.open_dataset(Path(path))


def load_method(
    method: str | None = None,
    checkpoint: str | Path | None = None,
    *,
    data: Dataset | None = None,
    settings: Sequence[str] = (),
    device: str = "cpu",
) -> Any:
    """A method that can be asked (jladkit.methods), as --method and --checkpoint name it.

    Args:
        method: the name of one that needs no training, or "module:Class"; with `checkpoint`, the
            method whose authors released these weights.
        checkpoint: what `jladkit train` left, the file or its folder.
        data: for those that must be prepared on a data set, such as "mean-shape".
        settings: "section.key=value", for a method without a checkpoint.
        device: torch's name of one.

    Raises:
        UsageError: there is none of that name, or it must be trained first.
        JladkitError: the checkpoint is none, or does not fit.
    """
    from jladkit.training.prediction import device_named
    from jladkit.training.prediction import load_method as load

    path = None if checkpoint is None else Path(checkpoint)
    return load(data, method, path, device_named(device), settings)


def predict(
    data: Dataset, method: Any, split: str = "test", *, device: str = "cpu", progress: bool = False
) -> Predictions:
    """What a method says of a split's pairs, if it matches, and objects, if it detects.

    Args:
        method: from `load_method`, or an instance of a class of yours (jladkit.methods).
        device: where the method is.
        progress: show bars on standard error.

    Raises:
        UsageError: it is no method.
        JladkitError: there is nothing in the split that the method can work on.
    """
    from jladkit.training.prediction import ask, check_method, device_named

    check_method(method, type(method).__name__)
    return ask(method, data, split, device_named(device), progress)


def read_predictions(
    path: str | Path, data: Dataset, split: str = "test", frame: str = "crop"
) -> Predictions:
    """A predictions.h5, or what others predicted as CSV or plain HDF5 (jladkit.formats.outside).

    Raises:
        JladkitError: it is broken, or about other data or another split.
    """
    found = outside.read_predictions(Path(path), data, split, frame)
    check_belongs(Path(path), found, data, split)
    return found


def evaluate(
    data: Dataset,
    predictions: Predictions,
    metric: str = "pck",
    protocol: str | None = None,
    alphas: Sequence[float] | None = None,
) -> Result:
    """A score of predictions with its intervals (jladkit.formats.result).

    Args:
        metric: as `jladkit list metrics` has them.
        protocol: as `jladkit list protocols` has them; None for the metric's first.
        alphas: tolerances in (0, 1], of metrics that have one.

    Raises:
        UsageError: no such metric or protocol.
        JladkitError: the predictions are of other data, or not what the metric scores.
    """
    if predictions.dataset_digest != data.digest:
        raise UsageError(
            f"These predictions are of {predictions.dataset}, digest "
            f"{predictions.dataset_digest[:12]}, not of {data.path} with {data.digest[:12]}."
        )
    score = registry.load("metric", metric)
    return score(data, predictions, protocol, None if alphas is None else tuple(alphas))[0]
