"""Running a method over a split: what `jladkit predict` and `jladkit evaluate` call."""

import time
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from jladkit import registry
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.files import to_json
from jladkit.formats.prediction_shards import BLOCK, WHOLE, Shard
from jladkit.formats.predictions import Predictions
from jladkit.methods import LandmarkDetector, Matcher
from jladkit.training.checkpoint import read_label
from jladkit.training.encoding import Runner, by_picture
from jladkit.training.environment import environment, now, peak_memory
from jladkit.training.loading import batches, from_square
from jladkit.training.saving import model_file
from jladkit.training.validation import ends_of, transfer_pairs

BATCH = BLOCK
DENSE_BATCH = BLOCK // 4  # pairs, each with thousands of points
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
    data: Dataset | None,
    method: str | None,
    checkpoint: Path | None,
    device: torch.device,
    settings: Sequence[str] = (),
) -> Any:
    """An instance of a method: from its checkpoint (the file, or the folder of its run), by name
    when it needs no training, or from both: weights that the method's authors released. Without
    `data` a named one must need none either, which it says by `needs_data = False`.

    Args:
        settings: "section.key=value", for a method that needs no training.

    Raises:
        UsageError: neither is given, or the method must be trained first, or both are and it reads
            no weights of its authors, or it has no such settings.
        JladkitError: the checkpoint is none of ours, or of a method without checkpoints.
    """
    if settings and checkpoint is not None:
        raise UsageError("--set is for a method without --checkpoint, which has its settings.")
    if method is not None and checkpoint is not None:
        cls = registry.load("method", method)
        if not hasattr(cls, "load_official"):
            raise UsageError(
                f"The method {method} reads no weights of its authors. Give --checkpoint alone for "
                "what `jladkit train` left."
            )
        return cls.load_official(checkpoint, device)
    if checkpoint is not None:
        checkpoint = model_file(checkpoint)
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
    if method is None:
        raise UsageError("Give --method or --checkpoint.")
    cls = registry.load("method", method)
    if not hasattr(cls, "prepare") and not hasattr(cls, "train"):
        raise UsageError(f"{method} is no method: it can neither be prepared nor trained.")
    if not hasattr(cls, "prepare"):
        raise UsageError(
            f"The method {method} must be trained: jladkit train --method {method}, then give "
            "--checkpoint."
        )
    if data is None and getattr(cls, "needs_data", True):
        raise UsageError(f"The method {method} must be prepared on a data set, and there is none.")
    if settings and "settings" not in signature(cls.prepare).parameters:
        raise UsageError(f"The method {method} has no settings; leave --set out.")
    told = {"settings": settings} if settings else {}
    instance = cls.prepare(data, device, **told)
    check_method(instance, method)
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
    fit_objects: int | None = None,
    settings: Sequence[str] = (),
    shard: Shard = WHOLE,
) -> Predictions:
    """Everything a method says about a split: its pairs if it matches, its objects if it detects.

    Landmarks come for the objects of train too, since a regressor has to be fitted on them; not
    for objects of a category that the method has no landmarks for.

    Args:
        method, checkpoint, settings: see `load_method`.
        The others: see `ask`.

    Raises:
        UsageError: there is no such method, or no such device.
        JladkitError: the split has neither pairs nor objects that the method can work on.
    """
    where = device_named(device)
    instance = load_method(data, method, checkpoint, where, settings)
    return ask(instance, data, split, where, progress, wanted, cells, fit_objects, shard)


def ask(
    instance: Any,
    data: Dataset,
    split: str,
    where: torch.device,
    progress: bool = True,
    wanted: Sequence[str] = PARTS,
    cells: int = CELLS,
    fit_objects: int | None = None,
    shard: Shard = WHOLE,
) -> Predictions:
    """Everything that an instance of a method says about a split.

    Args:
        where: the device that the instance is on.
        wanted: "pair", keypoints carried from source to target, and how unsure the method is of
            each where it says; "object", landmarks; with "pair" also "back", keypoints from
            target to source, "flow" and "flow_back", the dense fields from source to target and
            back. What goes the same way comes from the same pass over the pairs.
        cells: of a dense field, in each direction.
        fit_objects: how many objects of train at most, drawn with seed 0; None takes all.
        shard: which batches of it; jladkit.formats.prediction_shards puts them together again.

    Raises:
        JladkitError: the split has neither pairs nor objects that the method can work on.
    """
    pairs = data.pairs(split)
    fitted = some_of(data.objects("train"), fit_objects)
    objects = detectable(instance, data, np.union1d(fitted, data.objects(split)))
    runner = Runner(instance, data, where)
    parts: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    with torch.inference_mode():
        if "pair" in wanted and isinstance(instance, Matcher) and len(pairs):
            parts["pair_row"] = pairs
            parts |= pair_parts(runner, pairs, wanted, cells, progress, seconds, shard)
            if shard != WHOLE:
                own = shard.own(by_picture(data, pairs))
                parts = {name: None if a is None else a[own] for name, a in parts.items()}
        if "object" in wanted and isinstance(instance, LandmarkDetector) and len(objects):
            begin = time.perf_counter()
            own = shard.own(runner.codes_first(objects))
            parts["object_row"] = objects[own]
            parts["object_points"] = detected(runner, objects, progress, shard)
            seconds["object"] = (time.perf_counter() - begin) / max(int(own.sum()), 1)
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
        environment=environment(str(where)),
        created=now(),
        seconds_per_item=seconds,
        peak_memory=peak_memory(),
        shard=str(shard),
        **parts,
    )


def some_of(rows: NDArray[np.int64], count: int | None) -> NDArray[np.int64]:
    """At most `count` of the rows, drawn with seed 0, in order; all where it is None."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:count])


def pair_parts(
    runner: Runner,
    pairs: NDArray[np.int64],
    wanted: Sequence[str],
    cells: int,
    progress: bool,
    seconds: dict[str, float],
    shard: Shard,
) -> dict[str, Any]:
    """The fields of Predictions about `pairs`: one pass there and, if need be, one back.

    `seconds` gets how long a pair took, for each part of `wanted` that the pass was for.
    """
    parts: dict[str, Any] = {}
    number = max(int(shard.own(by_picture(runner.data, pairs)).sum()), 1)
    for back, points, flow in ((False, "pair", "flow"), (True, "back", "flow_back")):
        asked = [part for part in (points, flow) if part in wanted]
        if not asked:
            continue
        begin = time.perf_counter()
        found = carried(runner, pairs, progress, cells if flow in asked else 0, back, shard)
        seconds |= dict.fromkeys(asked, (time.perf_counter() - begin) / number)
        if points in asked:
            parts["pair_points_back" if back else "pair_points"] = found.points
        if points in asked and not back:
            parts["pair_log_sigma"] = found.log_sigma
        if flow in asked:
            parts[f"pair_{flow}"] = found.field
    return parts


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


class Carried(NamedTuple):
    """What one pass over P pairs gives.

    Attributes:
        points: (P, K, 2) transferred keypoints, in pixels of the pictures they were carried to.
        log_sigma: (P, K) how unsure the method is of each; None of a method that does not say.
        field: (P, 2, cells, cells) for cells over the picture they come from, the xy in pixels of
            the one they go to.
    """

    points: NDArray[np.float64]
    log_sigma: NDArray[np.float64] | None
    field: NDArray[np.float32]


def carried(
    runner: Runner,
    pairs: NDArray[np.int64],
    progress: bool,
    cells: int = 0,
    back: bool = False,
    shard: Shard = WHOLE,
) -> Carried:
    """The keypoints and the dense field of every pair, from source to target or `back`.

    The centres of the field's cells are points like any other to the matcher, so that each pair
    is looked at once for all of it.

    Args:
        pairs: (P,) rows of pair/*.
        cells: on each side of the field; 0 for none.
        shard: which pairs are wanted; what stands for the others means nothing.
    """
    data, size, order = runner.data, runner.method.size, by_picture(runner.data, pairs)
    number = data.object_keypoints.shape[1]
    log_sigma = np.full((len(pairs), number), np.nan)
    fields = np.empty((len(pairs), 2, cells, cells), dtype=np.float32)
    if not number and not cells:
        return Carried(np.empty((len(pairs), 0, 2)), None, fields)
    batch = DENSE_BATCH if cells else BATCH
    grid, places = centres(cells, size), iter(batches(order, batch))
    label, own = "pairs, back" if back else "pairs", shard.own(order)
    with tqdm(total=own.sum(), desc=label, unit="pair", disable=not progress) as bar:

        def carry(part: NDArray[np.int64], points: Tensor) -> Tensor:
            (source, target), place = ends_of(data, part, back), next(places)
            if not own[place[0]]:
                runner.pass_transfer(source, target)
                return torch.full_like(points, torch.nan)
            asked = torch.cat([points, grid.expand(len(part), -1, -1)], dim=1)
            moved, unsure = runner.transfer(
                source, target, asked, names(data, data.pair_category[part])
            )
            if unsure is not None:
                log_sigma[place] = unsure[:, :number].double().cpu().numpy()
            if cells:
                ends = moved[:, number:].double().cpu().numpy()
                ends = from_square(ends, data.object_size[target], size)
                fields[place] = ends.reshape(len(part), cells, cells, 2).transpose(0, 3, 1, 2)
            bar.update(len(part))
            return moved[:, :number]

        points = transfer_pairs(data, pairs[order], size, carry, batch, back)[np.argsort(order)]
    return Carried(points, None if np.isnan(log_sigma).all() else log_sigma, fields)


def centres(cells: int, size: int) -> Tensor:
    """(cells * cells, 2) xy of the cells' centres, row first, in pixels of a square of `size`."""
    along = (np.arange(cells) + 0.5) * (size / max(cells, 1)) - 0.5
    return torch.from_numpy(np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)).float()


def detected(
    runner: Runner, objects: NDArray[np.int64], progress: bool, shard: Shard = WHOLE
) -> NDArray[np.float64]:
    """(M, L, 2) landmarks of those of `objects` that are the shard's, in pixels of the stored
    pictures."""
    data, size = runner.data, runner.method.size
    order = runner.codes_first(objects)
    own = shard.own(order)
    found: list[NDArray[np.float64]] = [np.empty((0, 0, 2))] if not own.any() else []
    with tqdm(total=own.sum(), desc="objects", unit="image", disable=not progress) as bar:
        for place in batches(order, BATCH):
            part = objects[place]
            if not own[place[0]]:
                runner.pass_detect(part)
                continue
            points = runner.detect(part, names(data, data.object_category[part]))
            found.append(from_square(points.double().cpu().numpy(), data.object_size[part], size))
            bar.update(len(part))
    return np.concatenate(found)[np.argsort(order[own[order]])]
