"""The one build loop: read units in parallel, choose pairs, split, write, say what came out.

A builder names its units (records or pictures), reads one at a time into a `Found`, and says
which poses agree. Everything here is in order of name and seeded, so that the number of workers
changes nothing.
"""

import contextlib
import hashlib
import json
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import BrokenExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import click
import joblib
import numpy as np
from tqdm import tqdm

from jladkit import __version__
from jladkit.builders import shards
from jladkit.builders.about import About
from jladkit.builders.card import write_cards
from jladkit.builders.objects import (
    Found,
    category_arrays,
)
from jladkit.builders.options import Job, PairOptions
from jladkit.builders.pairing import Agree, choose_pairs
from jladkit.builders.splits import leakage
from jladkit.builders.summary import compare_inputs, summary
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import write_dataset
from jladkit.formats.files import check_output, make_folder
from jladkit.formats.locking import alone

Unit = TypeVar("Unit")
Names = Mapping[str, Sequence[str]]
FEW_UNITS = 64  # below this, starting workers costs more than it saves
FEWEST_SHARDS = 32  # of a large build, so that one that is stopped loses little
PATIENCE = "10s"  # with a Dask scheduler that does not answer
MOST_UNITS = 512  # of a shard, whose pictures are in memory at once


def check_start(root: Path, job: Job) -> None:
    """Refuse early what would fail after a long build.

    Raises:
        UsageError: `root` is no folder, or the output exists.
        JladkitError: the output's folder cannot be made.
    """
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}. ROOT must be where the source was unpacked.")
    check_output(job.out, overwrite=job.overwrite)


@dataclass
class Read:
    """What was read: the shards with pictures and objects, and all the rest in one."""

    paths: list[Path]
    names: list[dict[str, list[str]]] = field(default_factory=list)  # in each shard
    rest: Found = field(default_factory=Found)  # without objects


@contextlib.contextmanager
def read_all(
    units: Sequence[Unit], read: Callable[[Unit], Found], options: Any, about: About, job: Job
) -> Iterator[Read]:
    """Read every unit, in parallel, into parts on disk, which go when the block ends.

    A build that was stopped while reading leaves them; the same command goes on from there.

    Args:
        units: what `read` takes, in the order in which their objects are to come.
        read: reads one unit; must be picklable.
        options: whatever `read` depends on beside the files.
        about: said where files are missing.
        job: output, workers, whether files may be missing.

    Raises:
        JladkitError: files are missing, or something is broken under --strict.
    """
    parts = job.parts.absolute()
    make_folder(job.out.parent)
    with alone(job.out, "build"):
        shards.prepare(parts, key_of(units, read, options, job))
        yield from read_parts(units, read, parts, about, job)


def read_parts(
    units: Sequence[Unit], read: Callable[[Unit], Found], parts: Path, about: About, job: Job
) -> Iterator[Read]:
    """What `read_all` yields, once; `parts` go when that was used."""
    try:
        paths = make_shards(units, read, parts, job)
        result = Read(paths)
        for path in paths:
            found, names = shards.read_rest(path)
            result.rest.add(found)
            result.names.append(names)
        # A picture that is stored in two ways is read twice, but missing once.
        result.rest.missing = list(dict.fromkeys(result.rest.missing))
        check_missing(result.rest.missing, about, job)
    except BaseException as error:
        if not any(parts.glob("*.json")):
            shutil.rmtree(parts, ignore_errors=True)
        elif not isinstance(error, JladkitError):
            click.echo(f"What was read is kept in {parts}; the same command goes on there.",
                       err=True)  # fmt: skip
        raise
    try:
        yield result
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def key_of(units: Sequence[Unit], read: Callable[[Unit], Found], options: Any, job: Job) -> str:
    """What tells parts of the same build, begun by whatever process, from those of another."""
    # Not of its repr, which has the address of the function `read`: pickle has its name.
    return hashlib.sha256(
        pickle.dumps([__version__, shards.SCHEMA, options, job.strict, read, list(units)])
    ).hexdigest()


def make_shards(
    units: Sequence[Unit], read: Callable[[Unit], Found], folder: Path, job: Job
) -> list[Path]:
    """Read the units into shards below `folder`; their .json files in order."""
    step = max(1, min(MOST_UNITS, len(units) // FEWEST_SHARDS))
    groups = [units[start : start + step] for start in range(0, len(units), step)]
    paths = [folder / f"{number:05}.json" for number in range(len(groups))]
    calls = (
        joblib.delayed(shards.make_shard)(path, group, read, job.strict)
        for path, group in zip(paths, groups, strict=True)
    )
    with backend(job), whole_workers():
        workers = job.workers if len(units) >= FEW_UNITS else 1
        n_jobs = -1 if job.scheduler else workers
        # Batches of several shards would let a worker idle at the end while another has two.
        single: Any = 1  # joblib's hints know the default only, which is text
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=single)
        done = cast(Iterable[Path], parallel(calls))
        with tqdm(total=len(units), desc="reading", disable=None) as bar:
            for _, group in zip(done, groups, strict=True):
                bar.update(len(group))
    return paths


@contextlib.contextmanager
def backend(job: Job) -> Iterator[None]:
    """Where joblib sends its work: to processes here, or to the workers of a Dask cluster.

    Raises:
        UsageError: Dask is not installed.
        JladkitError: no scheduler answers at the address.
    """
    if job.scheduler is None:
        yield
        return
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError as error:
        raise UsageError(
            "--scheduler needs Dask, which is not installed. Run: pip install 'jladkit[dask]'"
        ) from error
    try:
        client = Client(job.scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise JladkitError(
            f"No Dask scheduler answers at {job.scheduler} ({error}). Start one with "
            "`dask scheduler` and workers with `dask worker ADDRESS`."
        ) from error
    with client, client.as_current(), joblib.parallel_config(backend="dask", client=client):
        yield


@contextlib.contextmanager
def whole_workers() -> Iterator[None]:
    """Say so where one of joblib's processes dies.

    Raises:
        JladkitError: one did.
    """
    try:
        yield
    except BrokenExecutor as error:
        raise JladkitError(
            "A process that read pictures died; the system ends one where memory runs out. What was "
            "read is kept: the same command goes on there. Give fewer --workers."
        ) from error


def check_missing(missing: Sequence[str], about: About, job: Job) -> None:
    """Raise JladkitError where files are missing and that was not allowed."""
    if missing and not job.allow_missing:
        first = "".join(f"\n    {name}" for name in missing[:3])
        more = f"\n    and {len(missing) - 3} more" if len(missing) > 3 else ""
        layout = "".join(f"\n    {line}" for line in about.layout.strip().splitlines())
        raise JladkitError(
            f"{len(missing)} of the files that the annotations name are missing:{first}{more}\n"
            f"{about.title} is to be had from {about.url}. ROOT must look like this:{layout}\n"
            "Complete it, or go on without them: --allow-missing."
        )


def build_crops(
    builder: str,
    units: Sequence[Unit],
    read: Callable[[Unit], Found],
    agree: Agree,
    options: PairOptions,
    job: Job,
    *,
    about: About,
    names: Names | None = None,
    lists: Found | None = None,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Build a dataset.h5 of crops with pairs chosen among them.

    Args:
        builder: the source's name.
        units: what `read` takes, in a fixed order.
        read: reads one unit; must be picklable.
        agree: gives, from the object/* fields of one category, the condition on poses.
        options: enter the recipe whole.
        job: output and workers.
        about: the source's facts, for the data card.
        names: the keypoint names of categories; of others, those that occur are taken, sorted.
        lists: what was read and found missing before the units: lists, annotation files.
        notes: further facts for the `source` attribute.

    Returns:
        The digest of the contents.

    Raises:
        JladkitError: files are missing, or no object or no pair is left; the text says why.
    """
    lists = lists or Found()
    check_missing(lists.missing, about, job)
    with read_all(units, read, options, about, job) as found:
        found.rest.add(lists)
        arrays, pictures = gather(found, names)
        arrays |= choose_pairs(arrays, agree, options)
        check_pairs(arrays, job)
        return write(builder, arrays, pictures, found, options, job, about, notes)


def gather(found: Read, names: Names | None) -> tuple[dict[str, np.ndarray], shards.Pictures]:
    """The category/* and object/* fields, in order of category and picture, and the pictures."""
    occurring: dict[str, set[str]] = {}
    for local in found.names:
        for category, keypoints in local.items():
            occurring.setdefault(category, set()).update(keypoints)
    check_any(occurring, found.rest)
    told = names or {}
    used = {c: list(told.get(c, sorted(occurring[c]))) for c in sorted(occurring)}
    arrays, pictures = shards.read_objects(found.paths, found.names, used)
    image, index = arrays["object/source_image"].astype(str), arrays["object/source_index"]
    order = np.lexsort((index, image, arrays["object/category"]))
    arrays = {name: array[order] for name, array in arrays.items()}
    return {**category_arrays(used), **arrays}, pictures.take(order)


def check_any(objects: Sized, found: Found) -> None:
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
    pictures: shards.Pictures,
    found: Read,
    options: Any,
    job: Job,
    about: About,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Write the file and its data card, and say on standard error what is in it.

    Args:
        builder: the source's name.
        arrays: every field but the pictures; long ones may be formats.files.Pieces.
        pictures: where each object's lies.
        found: what was read.
        options: a dataclass, enters the recipe whole.
        job: the output.
        about: the source's facts.
        notes: further facts for the `source` attribute.

    Returns:
        The digest of the contents.
    """
    files = sorted({(file.name, file.sha256) for file in found.rest.files})
    recipe = {"builder": builder, "options": asdict(options), "jladkit": __version__}
    counts = Counter(reason for reason, _ in found.rest.left_out)
    if found.rest.missing:
        counts["file missing"] = len(found.rest.missing)
    source = {
        "digest": files_digest(files),
        "files": len(files),
        "objects": len(arrays["object/category"]),
        "left_out": dict(sorted(counts.items())),
        "leakage": leakage(arrays),
        **(notes or {}),
    }
    paths = shards.keep_shards(found.paths, job.shards) if job.virtual else found.paths
    span, pieces = shards.joined_pictures(paths, pictures, job.shards if job.virtual else None)
    digest = write_dataset(
        job.out,
        {**arrays, "object/image_span": span, "object/image_bytes": pieces},
        name=options.name,
        recipe=json.loads(json.dumps(recipe)),
        source=source,
        files=files,
        overwrite=job.overwrite,
    )
    if job.virtual:
        shards.drop_others(job.shards, paths)
    tell(job.out, arrays, source, digest, about, compare_inputs(files, job.recipe_from))
    return digest


def tell(
    out: Path,
    arrays: Mapping[str, np.ndarray],
    source: Mapping[str, Any],
    digest: str,
    about: About,
    more: Sequence[str] = (),
) -> None:
    """Write the data card of a finished file, and say on standard error what is in it."""
    cards = write_cards(out, about)
    for line in [*summary(arrays, source), *more]:
        click.echo(line, err=True)
    size = out.stat().st_size / 1e6
    click.echo(f"Wrote {out} ({size:.1f} MB, digest {digest[:12]}), its data card "
               f"{cards[0].name} and {cards[1].name}.", err=True)  # fmt: skip


def files_digest(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the sorted names and digests of all input files."""
    lines = sorted({f"{name}\0{digest}\n" for name, digest in files})
    return hashlib.sha256("".join(lines).encode()).hexdigest()
