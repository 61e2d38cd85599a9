"""The one build loop: read records in parallel, choose pairs, split, write, say what came out.

A builder names its units (records or pictures), reads one at a time into a `Found`, and says
which poses agree. Everything here is in order of name and seeded, so that the number of workers
changes nothing.
"""

import hashlib
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import click
import joblib
import numpy as np
from tqdm import tqdm

from jladkit import __version__
from jladkit.builders import pairs, splits
from jladkit.builders.crops import PADDINGS
from jladkit.builders.objects import Found, Stored, category_arrays, object_arrays
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import SPLITS, open_dataset, write_dataset
from jladkit.formats.files import check_output

Unit = TypeVar("Unit")
Names = Mapping[str, Sequence[str]]
Agree = Callable[[Mapping[str, np.ndarray]], pairs.Agreement | None]
FEW_UNITS = 64  # below this, starting workers costs more than it saves


@dataclass(frozen=True, kw_only=True)
class Job:
    """How a build runs. Nothing in here enters the file."""

    out: Path
    workers: int = 1
    overwrite: bool = False
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """What every builder shares that crops objects and chooses its own pairs."""

    name: str
    seed: int = 0
    category: tuple[str, ...] = ()
    margin: float = 0.1  # enough context for the backbone's border cells; boxes are often tight
    size: int = 256
    padding: str = "edge"
    min_side: float = 32.0  # smaller ones would be enlarged eightfold to a network's 256 px
    min_keypoints: int = 3
    min_common: int = 3
    pairs: int = 1000  # JLAD has about 1,000 a category
    split: tuple[int, int, int] = (70, 20, 10)
    split_by: str = "image"

    def __post_init__(self) -> None:
        if min(self.split) < 0 or sum(self.split) == 0:
            raise UsageError(f"--split must be three shares of 0 or more, but is {self.split}.")
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')} must be a number, but is {value}.")

    @property
    def least_common(self) -> int:
        """How many keypoints a pair must share; never more than an object must have."""
        return min(self.min_common, self.min_keypoints)


def default(options: type, name: str) -> Any:
    """The default of a field of an options class, for its command-line option."""
    value = next(f.default for f in fields(options) if f.name == name)
    return None if value is MISSING else value


def job_options(source: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """ROOT and the options that every source's command has. `source` is its name."""

    def use_recipe(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.default_map = {**(ctx.default_map or {}), **recipe_options(value, source)}

    decorators = [
        click.argument("root", type=click.Path(path_type=Path)),
        click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
                     help="The dataset.h5 to write."),
        click.option("--name", default=source, show_default=True,
                     help="What results call this data set."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Decides the split and the pairs."),
        click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1,
                     help="Processes that read and crop. Changes nothing in the file.  "
                     "[default: all cores]"),
        click.option("--recipe-from", type=click.Path(path_type=Path), metavar="FILE",
                     is_eager=True, expose_value=False, callback=use_recipe,
                     help="Take the options of an existing dataset.h5; options given here win."),
        click.option("--overwrite", is_flag=True, help="Replace FILE if it exists."),
        click.option("--strict", is_flag=True,
                     help="Stop at the first broken record, and where a category has no pairs."),
    ]  # fmt: skip
    return stacked(decorators)


def crop_options(options: type[CropOptions]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options behind CropOptions' fields, with the defaults of `options`."""

    def option(flag: str, field: str, kind: Any, text: str, **more: Any) -> Any:
        return click.option(
            flag, field, type=kind, default=default(options, field), show_default=True, help=text,
            **more,
        )  # fmt: skip

    decorators = [
        click.option("--category", multiple=True, metavar="NAME",
                     help="Only this category; repeat for more.  [default: all]"),
        option("--margin", "margin", click.FloatRange(0, 5),
               "Added around the box on each side, as a share of its longer side."),
        option("--size", "size", click.IntRange(16, 4096),
               "Longest side of a stored picture; larger crops are shrunk, none is enlarged."),
        option("--padding", "padding", click.Choice(list(PADDINGS)),
               "What a crop shows beyond the picture's border."),
        option("--min-side", "min_side", click.FloatRange(min=0),
               "Leave out objects whose box's longer side is below this many pixels."),
        option("--min-keypoints", "min_keypoints", click.IntRange(min=0),
               "Leave out objects with fewer visible keypoints. 0 keeps those without any."),
        option("--min-common", "min_common", click.IntRange(min=0),
               "Fewest keypoints visible in both objects of a pair; at most --min-keypoints."),
        option("--pairs", "pairs", click.IntRange(min=1), "Most pairs to draw in each category."),
        option("--split", "split", click.IntRange(min=0), "Shares of the pairs: train, val, test.",
               nargs=3),
        option("--split-by", "split_by", click.Choice(["image", "pair"]),
               "image: no source picture in two splits. pair: as JLAD was split, which leaks."),
    ]  # fmt: skip
    return stacked(decorators)


def stacked(decorators: Sequence[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """One decorator in place of several; --help lists them in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def recipe_options(path: Path, source: str) -> dict[str, Any]:
    """The options that an existing dataset.h5 was built with.

    Raises:
        UsageError: another builder made it.
        JladkitError: it is no dataset.h5, or one without options.
    """
    recipe = open_dataset(path).recipe
    options = recipe.get("options")
    if not isinstance(options, dict) or any(isinstance(v, dict) for v in options.values()):
        raise JladkitError(
            f"{path} holds no recipe that can be followed. Give the options instead."
        )
    if recipe.get("builder") != source:
        raise UsageError(
            f"{path} was built with {recipe.get('builder')!r}: "
            f"jladkit build-dataset {recipe.get('builder')} --recipe-from {path} ..."
        )
    return options


def check_start(root: Path, job: Job) -> None:
    """Refuse early what would fail after a long build.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: the output's folder cannot be made.
    """
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}. ROOT must be where the source was unpacked.")
    check_output(job.out, overwrite=job.overwrite)


def read_all(units: Sequence[Unit], read: Callable[[Unit], Found], job: Job) -> Found:
    """Read every unit, in parallel, and join what they gave in the order of `units`."""
    workers = job.workers if len(units) >= FEW_UNITS else 1
    calls = (joblib.delayed(read)(unit) for unit in units)
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
    results = cast(Iterable[Found], parallel(calls))
    whole = Found(strict=job.strict)
    for found in tqdm(results, total=len(units), desc="reading", disable=None):
        whole.objects += found.objects
        whole.left_out += found.left_out
        whole.files += found.files
    return whole


def build_crops(
    builder: str,
    units: Sequence[Unit],
    read: Callable[[Unit], Found],
    agree: Agree,
    options: CropOptions,
    job: Job,
    *,
    names: Names | None = None,
    files: Iterable[tuple[str, str]] = (),
) -> str:
    """Build a dataset.h5 of crops with pairs chosen among them.

    Args:
        builder: the source's name.
        units: what `read` takes, in a fixed order.
        read: reads one unit; must be picklable.
        agree: gives, from the object/* fields of one category, the condition on poses.
        options: enter the recipe whole.
        job: output and workers.
        names: each category's keypoint names; None takes those that occur, sorted.
        files: further input files, (name, SHA-256), for the digest.

    Returns:
        The digest of the contents.

    Raises:
        JladkitError: no object or no pair is left; the text says why.
    """
    found = read_all(units, read, job)
    objects = sorted(
        found.objects,
        key=lambda s: (s.annotation.category, s.annotation.image, s.annotation.index),
    )
    check_any(objects, found)
    used = sorted({stored.annotation.category for stored in objects})
    names = {c: list(names[c]) if names else occurring_names(c, objects) for c in used}
    arrays = {**category_arrays(names), **object_arrays(objects, names)}
    arrays |= choose_pairs(arrays, agree, options)
    check_pairs(arrays, job)
    found.files += list(files)
    return write(builder, arrays, found, asdict(options), job)


def occurring_names(category: str, objects: Sequence[Stored]) -> list[str]:
    """The sorted keypoint names that a category's objects have."""
    told = (stored.annotation for stored in objects if stored.annotation.category == category)
    return sorted({name for annotation in told for name in annotation.points})


def choose_pairs(
    arrays: Mapping[str, np.ndarray], agree: Agree, options: CropOptions
) -> dict[str, np.ndarray]:
    """The pair/* fields and object/split.

    Each category draws from its own stream of numbers, so that leaving one out changes no other
    (but for a picture with objects of both, whose split the first of them decides).
    """
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    visible, split = arrays["object/visible"], np.zeros(len(image), dtype=int)
    fixed: dict[int, int] = {}
    parts = []
    for code, name in enumerate(arrays["category/name"]):
        rng = np.random.default_rng([options.seed, zlib.crc32(str(name).encode())])
        rows = np.nonzero(arrays["object/category"] == code)[0]
        searched = np.sort(rng.permutation(rows)[: pairs.MOST_OBJECTS])
        condition = agree({k: v[searched] for k, v in row_fields(arrays).items()})
        local = pairs.candidate_pairs(
            image[searched], visible[searched], options.least_common, condition
        )
        candidates = np.searchsorted(rows, searched[local])  # as places in `rows`
        wanted = options.pairs if options.split_by == "image" else 0
        split[rows] = splits.split_images(
            image[rows], candidates, options.split, wanted, rng, fixed
        )
        fixed |= dict(zip(image[rows].tolist(), split[rows].tolist(), strict=True))
        if options.split_by == "image":
            pair_split = splits.within(split[rows], candidates)
        else:
            pair_split = splits.random_split(len(candidates), options.split, rng)
        drawn = splits.draw_pairs(pair_split, options.split, options.pairs, rng)
        chosen = rows[rng.permuted(candidates[drawn], axis=1)]
        parts.append(np.column_stack([chosen, np.full(len(drawn), code), pair_split[drawn]]))
    source, target, category, pair_split = np.concatenate(parts).T
    return {
        "object/split": split,
        "pair/source": source,
        "pair/target": target,
        "pair/category": category,
        "pair/split": pair_split,
        "pair/common": pairs.common_keypoints(visible, source, target),
    }


def row_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The object/* fields that have a row for each object."""
    return {k: v for k, v in arrays.items() if k.startswith("object/") and "bytes" not in k}


def check_any(objects: Sequence[Stored], found: Found) -> None:
    """Raise JladkitError, with the reasons, when no object is left."""
    if objects:
        return
    first = {reason: where for reason, where in reversed(found.left_out)}
    counts = Counter(reason for reason, _ in found.left_out)
    reasons = "; ".join(f"{n} {r} (first: {first[r]})" for r, n in counts.most_common())
    raise JladkitError(
        f"No object is left: {reasons or 'the source has none'}. Mend the source, or loosen what "
        "leaves objects out: build-dataset SOURCE --help lists it."
    )


def check_pairs(arrays: Mapping[str, np.ndarray], job: Job) -> None:
    """Raise JladkitError when there are no pairs; under --strict when a category has none."""
    counts = np.bincount(arrays["pair/category"], minlength=len(arrays["category/name"]))
    without = [str(n) for n, c in zip(arrays["category/name"], counts, strict=True) if c == 0]
    if without and (job.strict or not counts.any()):
        raise JladkitError(
            f"No pairs for {', '.join(without)}: too few objects in different pictures whose poses "
            "agree and that share keypoints. Widen the tolerances, lower --min-common or "
            "--min-keypoints, or leave the category out with --category."
        )


def write(
    builder: str,
    arrays: Mapping[str, np.ndarray],
    found: Found,
    options: Mapping[str, Any],
    job: Job,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Write the file and say on standard error what is in it; returns the contents' digest."""
    recipe = {"builder": builder, "options": options, "jladkit": __version__}
    counts = Counter(reason for reason, _ in found.left_out)
    source = {
        "digest": files_digest(found.files),
        "files": len(set(found.files)),
        "objects": len(arrays["object/category"]),
        "left_out": dict(sorted(counts.items())),
        "leakage": leakage_of(arrays),
        **(notes or {}),
    }
    digest = write_dataset(
        job.out,
        arrays,
        name=options["name"],
        recipe=json.loads(json.dumps(recipe)),
        source=source,
        overwrite=job.overwrite,
    )
    for line in summary(arrays, source):
        click.echo(line, err=True)
    click.echo(f"Wrote {job.out} ({job.out.stat().st_size / 1e6:.1f} MB, digest {digest[:12]}).",
               err=True)  # fmt: skip
    return digest


def files_digest(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the sorted names and digests of all input files."""
    lines = sorted({f"{name}\0{digest}\n" for name, digest in files})
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def leakage_of(arrays: Mapping[str, np.ndarray]) -> float | None:
    """Share of test pairs with a source picture that train pairs have too; None without any."""
    image = np.unique(arrays["object/source_image"].astype(str), return_inverse=True)[1]
    share = splits.leakage(
        image, arrays["pair/source"], arrays["pair/target"], arrays["pair/split"]
    )
    return None if np.isnan(share) else share


def summary(arrays: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> list[str]:
    """What was built and what was left out, as lines of text."""
    titles = [f"{what} {split}" for what in ("objects", "pairs") for split in SPLITS]
    lines = ["category        " + "".join(f"{title:>15}" for title in titles)]
    rows = []
    for code in range(len(arrays["category/name"])):
        row = [np.bincount(arrays[f"{g}/split"][arrays[f"{g}/category"] == code], minlength=3)
               for g in ("object", "pair")]  # fmt: skip
        rows.append(np.concatenate(row))
    for name, row in zip([*arrays["category/name"], "all"], [*rows, np.sum(rows, axis=0)],
                         strict=True):  # fmt: skip
        lines.append(f"{name:<16}" + "".join(f"{count:>15}" for count in row))
    for split, pairs_in_it in zip(SPLITS, np.sum(rows, axis=0)[3:], strict=True):
        if not pairs_in_it:
            lines.append(f"No pairs in {split}: too few in all for the shares of --split.")
    if source["left_out"]:
        lines.append("left out:")
        lines += [f"{count:>8}  {reason}" for reason, count in source["left_out"].items()]
    if source["leakage"] is not None:
        lines.append(
            f"test pairs with a picture that train pairs have too: {source['leakage']:.1%}"
        )
    return lines
