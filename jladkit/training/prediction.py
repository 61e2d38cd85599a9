"""Running a method over a split: what `jladkit predict` and `jladkit evaluate` call."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from jladkit import registry
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.files import to_json
from jladkit.formats.predictions import Predictions
from jladkit.methods import LandmarkDetector, Matcher
from jladkit.training.checkpoint import read_label
from jladkit.training.encoding import Runner, by_picture
from jladkit.training.environment import environment, now, peak_memory
from jladkit.training.loading import batches, from_square
from jladkit.training.loop import MODEL
from jladkit.training.validation import ends_of, transfer_pairs

BATCH = 16
DENSE_BATCH = 4  # pairs, each with thousands of points
CELLS = 64  # of a dense field, each way
PARTS = ("pair", "back", "object")
FLOWS = ("flow", "flow_back")


def device_named(name: str) -> torch.device:
    """A torch device by name.

    Raises:
        UsageError: torch does not know it, or it is not there.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"--device {name} cannot be used here: {error}") from error
    return device


def load_method(
    data: Dataset, method: str | None, checkpoint: Path | None, device: torch.device
) -> Any:
    """An instance of a method: from its checkpoint (the file, or the folder of its run), or by
    name when it needs no training.

    Raises:
        UsageError: neither or both are given, or the method must be trained first.
        JladkitError: the checkpoint is none of ours, or of a method without checkpoints.
    """
    if (method is None) == (checkpoint is None):
        raise UsageError("Give either --method or --checkpoint.")
    if checkpoint is not None:
        checkpoint = checkpoint / MODEL if checkpoint.is_dir() else checkpoint
        name = str(read_label(checkpoint).get("method"))
        if name not in registry.names("method"):  # a file must not choose what is imported
            raise JladkitError(
                f"{checkpoint} is of the method {name!r}, which is not registered here; a package "
                "registers its methods as entry points of the group jladkit.methods."
            )
        cls = registry.load("method", name)
        if not hasattr(cls, "load"):
            raise JladkitError(f"{checkpoint} is of the method {name}, which reads no checkpoints.")
        return cls.load(checkpoint, device)
    cls = registry.load("method", str(method))
    if not hasattr(cls, "prepare") and not hasattr(cls, "train"):
        raise UsageError(f"{method} is no method: it can neither be prepared nor trained.")
    if not hasattr(cls, "prepare"):
        raise UsageError(
            f"The method {method} must be trained: jladkit train --method {method}, then give "
            "--checkpoint."
        )
    instance = cls.prepare(data, device)
    check_method(instance, str(method))
    return instance


def check_method(instance: Any, spelled: str) -> None:
    """Raise UsageError unless `instance` has the members that jladkit.methods asks for."""
    lacking = [name for name in ("name", "size", "config") if not hasattr(instance, name)]
    if not hasattr(instance, "transfer") and not hasattr(instance, "detect"):
        lacking.append("transfer or detect")
    if lacking:
        raise UsageError(
            f"{spelled} is no method: it has no {', no '.join(lacking)}. jladkit/methods.py says what "
            "a method must have."
        )
    if not isinstance(instance.size, int) or instance.size < 1:
        raise UsageError(f"{spelled}.size must be a number of pixels, but is {instance.size!r}.")
    try:
        to_json(dict(instance.config))  # refused now, rather than after an hour of prediction
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spelled}.config must be a dict that JSON can hold: {error}.") from error


def predict(
    data: Dataset,
    split: str,
    *,
    method: str | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: bool = True,
    wanted: Sequence[str] = PARTS,
    cells: int = CELLS,
) -> Predictions:
    """Everything a method says about a split: its pairs if it matches, its objects if it detects.

    Landmarks come for the objects of train too, since a regressor has to be fitted on them; not
    for objects of a category that the method has no landmarks for.

    Args:
        wanted: "pair", keypoints carried from source to target; "object", landmarks; with "pair"
            also "back", keypoints from target to source, "flow" and "flow_back", the dense fields
            from source to target and back.
        cells: of a dense field, in each direction.

    Raises:
        JladkitError: the split has neither pairs nor objects that the method can work on.
    """
    where = device_named(device)
    instance = load_method(data, method, checkpoint, where)
    pairs = data.pairs(split)
    objects = detectable(instance, data, np.union1d(data.objects("train"), data.objects(split)))
    runner = Runner(instance, data, where)
    parts: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    with torch.inference_mode():
        if "pair" in wanted and isinstance(instance, Matcher) and len(pairs):
            begin = time.perf_counter()
            parts["pair_row"] = pairs
            parts["pair_points"] = matched(runner, pairs, progress)
            seconds["pair"] = (time.perf_counter() - begin) / len(pairs)
            if "back" in wanted:
                parts["pair_points_back"] = matched(runner, pairs, progress, back=True)
            for part in (part for part in FLOWS if part in wanted):
                begin = time.perf_counter()
                back = part == "flow_back"
                parts[f"pair_{part}"] = dense(runner, pairs, progress, cells, back)
                seconds[part] = (time.perf_counter() - begin) / len(pairs)
        if "object" in wanted and isinstance(instance, LandmarkDetector) and len(objects):
            begin = time.perf_counter()
            parts["object_row"] = objects
            parts["object_points"] = detected(runner, objects, progress)
            seconds["object"] = (time.perf_counter() - begin) / len(objects)
    if not parts:
        said = " or ".join(f"{part}s" for part in wanted if part != "back")
        raise JladkitError(
            f"{instance.name} has nothing to say about {said} of the {split} split of "
            f"{data.path}: there are none that it can work on, or it does no such thing."
        )
    return Predictions(
        method=instance.name,
        config=instance.config,
        split=split,
        dataset=data.name,
        dataset_digest=data.digest,
        environment=environment(device),
        created=now(),
        seconds_per_item=seconds,
        peak_memory=peak_memory(),
        **parts,
    )


def detectable(instance: Any, data: Dataset, objects: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `objects` whose category is among the instance's `categories`, where it has some."""
    known = getattr(instance, "categories", None)
    if known is None:
        return objects
    fits = np.isin(
        data.object_category[objects], [i for i, n in enumerate(data.categories) if n in known]
    )
    return objects[fits]


def names(data: Dataset, codes: NDArray[np.int32]) -> list[str]:
    """Category names of rows of category/*."""
    known = data.categories
    return [known[code] for code in codes]


def matched(
    runner: Runner, pairs: NDArray[np.int64], progress: bool, back: bool = False
) -> NDArray[np.float64]:
    """(P, K, 2) transferred keypoints, in pixels of the targets' stored pictures; `back` carries
    the targets' to the sources."""
    data, order = runner.data, by_picture(runner.data, pairs)
    if not data.object_keypoints.shape[1]:
        return np.empty((len(pairs), 0, 2))
    label = "pairs, back" if back else "pairs"
    with tqdm(total=len(pairs), desc=label, unit="pair", disable=not progress) as bar:

        def carry(part: NDArray[np.int64], points: Tensor) -> Tensor:
            source, target = ends_of(data, part, back)
            bar.update(len(part))
            return runner.transfer(source, target, points, names(data, data.pair_category[part]))

        found = transfer_pairs(data, pairs[order], runner.method.size, carry, BATCH, back)
    return found[np.argsort(order)]


def dense(
    runner: Runner, pairs: NDArray[np.int64], progress: bool, cells: int, back: bool = False
) -> NDArray[np.float32]:
    """The field of every pair: its cells' centres are points like any other to the matcher.

    Args:
        pairs: (P,) rows of pair/*.
        cells: on each side of the field.
        back: from target to source.

    Returns:
        (P, 2, cells, cells) for cells over the source's picture, the xy in pixels of the target's.
    """
    data, size = runner.data, runner.method.size
    centres = (np.arange(cells) + 0.5) * (size / cells) - 0.5
    grid = torch.from_numpy(np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)).float()
    out = np.empty((len(pairs), 2, cells, cells), dtype=np.float32)
    label = "fields back" if back else "fields"
    with tqdm(total=len(pairs), desc=label, unit="pair", disable=not progress) as bar:
        for places in batches(by_picture(data, pairs), DENSE_BATCH):
            part = pairs[places]
            source, target = ends_of(data, part, back)
            points = grid.expand(len(part), -1, -1)
            category = names(data, data.pair_category[part])
            moved = runner.transfer(source, target, points, category).double().cpu().numpy()
            field = from_square(moved, data.object_size[target], size)
            out[places] = field.reshape(len(part), cells, cells, 2).transpose(0, 3, 1, 2)
            bar.update(len(part))
    return out


def detected(runner: Runner, objects: NDArray[np.int64], progress: bool) -> NDArray[np.float64]:
    """(M, L, 2) landmarks, in pixels of the stored pictures."""
    data, size = runner.data, runner.method.size
    # Those whose codes are kept come first, before the others push them out.
    order = np.argsort(~runner.codes.holds(objects), kind="stable")
    found: list[NDArray[np.float64]] = []
    with tqdm(total=len(objects), desc="objects", unit="image", disable=not progress) as bar:
        for part in batches(objects[order], BATCH):
            points = runner.detect(part, names(data, data.object_category[part]))
            found.append(from_square(points.double().cpu().numpy(), data.object_size[part], size))
            bar.update(len(part))
    return np.concatenate(found)[np.argsort(order)]
