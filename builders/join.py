"""Several dataset.h5 in one, so that a method can be trained on all of them.

Objects, their pictures (the very bytes), pairs and splits stay as they are in each file, one file
after another. Categories of one name become one. Its keypoints are all those that a file names, and
keypoints of one name are taken to be the same; an object has no position for those that its own
file does not know.

A picture that one file trains on and another tests on is leakage, and refused.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit import __version__, registry
from jladkit.builders.about import About
from jladkit.builders.build import files_digest, tell
from jladkit.builders.same_pictures import first_leak, leak_counts, leaking, same_pictures
from jladkit.builders.shards import rename
from jladkit.builders.splits import leakage
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import (
    FIELDS,
    LONG,
    SPLITS,
    TYPES,
    Dataset,
    open_dataset,
    write_dataset,
)
from jladkit.formats.files import Pieces, check_output, make_folder
from jladkit.formats.locking import alone
from jladkit.formats.masks import is_polygon

PIECE = 1 << 22  # rows of a long field that are copied at a time
OBJECTS, PAIRS = (
    [name for name in FIELDS if name.startswith(group) and name not in LONG and name not in LONG.values()]
    for group in ("object/", "pair/")
)  # fmt: skip
SEEN = "whose picture is in a later split of another file"
UNSTATED = "as its owner states it"


@dataclass(frozen=True)
class Part:
    """What is taken of a data set: (n,) rows of object/*, and (p,) rows of pair/*."""

    data: Dataset
    objects: np.ndarray
    pairs: np.ndarray


def build(
    files: Sequence[Path],
    out: Path,
    *,
    name: str | None = None,
    allow_leakage: bool = False,
    leave_out_leakage: bool = False,
    overwrite: bool = False,
) -> str:
    """Join data sets; returns the digest of the contents.

    Args:
        files: two or more dataset.h5; their objects and pairs come in this order.
        out: the dataset.h5 to write.
        name: what results call it; None is the names of all, with + between.
        allow_leakage: keep pictures that are in one split of a file and in a later one of another.
        leave_out_leakage: leave their objects out of the earlier split, and the pairs of these.
        overwrite: replace `out` if it exists.

    Raises:
        UsageError: fewer than two files, one twice, one is `out`, or both leakage options; or
            another process writes `out`.
        JladkitError: one is no dataset.h5, they disagree on a category, or leak.
    """
    if len(files) < 2:
        raise UsageError("join needs two dataset.h5 or more.")
    if allow_leakage and leave_out_leakage:
        raise UsageError("Give --allow-leakage or --leave-out-leakage, not both.")
    check_output(out, overwrite=overwrite)
    if out.exists() and any(file.exists() and file.samefile(out) for file in files):
        raise UsageError(f"{out} is one of the files to join. Give another --out.")
    datas = [open_dataset(file) for file in files]
    check_different(datas)
    categories, names = united_categories(datas)
    pictures = same_pictures(datas)
    leaks = leaking(pictures, [data.object_split for data in datas])
    if not (allow_leakage or leave_out_leakage):
        check_leakage(pictures, datas, leaks)
    parts, left_out = taken(datas, leaks if leave_out_leakage else None)
    arrays = categories | object_fields(parts, names) | pair_fields(parts, list(names))
    shown = np.concatenate([own[p.objects] for own, p in zip(pictures, parts, strict=True)])
    inputs = [(data.name, data.digest) for data in datas]
    source = {
        "digest": files_digest(inputs),
        "files": len(inputs),
        "objects": len(arrays["object/category"]),
        "left_out": left_out,
        "leakage": leakage({**arrays, "object/source_image": shown}),
        "parts": [
            {"name": part.data.name, "digest": part.data.digest, "objects": len(part.objects),
             "pairs": len(part.pairs)} for part in parts
        ],
    }  # fmt: skip
    recipe = {
        "builder": "join",
        "options": {
            "name": name or "+".join(data.name for data in datas),
            "allow_leakage": allow_leakage,
            "leave_out_leakage": leave_out_leakage,
        },
        "inputs": [{"name": d.name, "digest": d.digest, "recipe": d.recipe} for d in datas],
        "jladkit": __version__,
    }
    make_folder(out.parent)
    with alone(out, "build"):
        digest = write_dataset(
            out,
            arrays | long_fields(parts),
            name=recipe["options"]["name"],
            recipe=recipe,
            source=source,
            files=inputs,
            overwrite=overwrite,
        )
        tell(out, arrays, source, digest, about_of(recipe))
    return digest


def check_different(datas: Sequence[Dataset]) -> None:
    """Raise UsageError when two files have the same contents."""
    seen: dict[str, Path] = {}
    for data in datas:
        if data.digest in seen:
            raise UsageError(
                f"{seen[data.digest]} and {data.path} have the same contents. Give one of them."
            )
        seen[data.digest] = data.path


def united_categories(
    datas: Sequence[Dataset],
) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """The category/* fields, and each category's keypoint names; both in order of occurrence.

    Raises:
        JladkitError: a file names two categories, or two keypoints of one, alike; or the files
            disagree on what a category's keypoints are, where a mirror takes them, or on its eyes.
    """
    names: dict[str, list[str]] = {}
    flips: dict[str, dict[str, str]] = {}
    eyes: dict[str, tuple[str, ...]] = {}
    for data in datas:
        check_names(data)
        for code, (category, own) in enumerate(
            zip(data.categories, data.keypoint_names, strict=True)
        ):
            known = names.setdefault(category, [])
            if known and own and is_polygon(known) != is_polygon(own):
                raise disagree(data, category, "whether its keypoints are a polygon's vertices")
            known += [keypoint for keypoint in own if keypoint not in known]
            flip = flips.setdefault(category, {})
            for keypoint, place in zip(own, data.category_flip[code].tolist(), strict=False):
                if 0 <= place < len(own) and flip.setdefault(keypoint, own[place]) != own[place]:
                    raise disagree(data, category, f"where a mirror takes {keypoint}")
            if len(set(flip.values())) < len(flip):
                raise disagree(data, category, "which keypoints are each other's mirror")
            pair = tuple(own[k] for k in data.category_iod_pair[code].tolist() if 0 <= k < len(own))
            if len(pair) == 2 and set(eyes.setdefault(category, pair)) != set(pair):
                raise disagree(data, category, "the two keypoints that normalise IOD")
    most = max((len(own) for own in names.values()), default=0)
    keypoint_names = np.full((len(names), most), "", dtype=object)
    flip = np.full((len(names), most), -1)
    iod_pair = np.full((len(names), 2), -1)
    for code, (category, own) in enumerate(names.items()):
        keypoint_names[code, : len(own)] = own
        for keypoint, other in flips[category].items():
            flip[code, own.index(keypoint)] = own.index(other)
        if category in eyes:
            iod_pair[code] = [own.index(keypoint) for keypoint in eyes[category]]
    return {
        "category/name": np.array(list(names), dtype=object),
        "category/keypoint_names": keypoint_names,
        "category/flip": flip,
        "category/iod_pair": iod_pair,
    }, names


def check_names(data: Dataset) -> None:
    """Raise JladkitError when names do not tell categories, or keypoints, apart."""
    for names, what in [(data.categories, "categories")] + [
        (own, f"keypoints of {category}")
        for category, own in zip(data.categories, data.keypoint_names, strict=True)
    ]:
        again = [name for name, count in Counter(names).items() if count > 1]
        if again:
            raise JladkitError(
                f"{data.path} has several {what} called {again[0]}, which cannot be joined by name."
            )


def disagree(data: Dataset, category: str, what: str) -> JladkitError:
    """The error where a file contradicts one before it."""
    return JladkitError(
        f"{data.path} and a file before it disagree on the category {category}: {what}. Build one "
        "of them with other names, or without that category."
    )


def check_leakage(
    pictures: Sequence[np.ndarray], datas: Sequence[Dataset], leaks: Sequence[np.ndarray]
) -> None:
    """Raise JladkitError, naming the first, when one file trains on what another tests on."""
    splits = [data.object_split for data in datas]
    found = first_leak(pictures, splits, leaks)
    if found is None:
        return
    counts = leak_counts(pictures, splits)
    first, second = (
        f"{data.object_source_image[row]} in {SPLITS[data.object_split[row]]} of {data.path}"
        for data, row in ((datas[place], row) for place, row in found)
    )
    raise JladkitError(
        f"Pictures of one file's earlier split are in a later one of another: "
        f"{', '.join(f'{count} {way}' for way, count in counts.items())}. The first: {first} is "
        f"{second}. (Their bytes, their source files, or the names of these agree.) Leave them out "
        "of the earlier split with --leave-out-leakage, or keep them with --allow-leakage."
    )


def taken(
    datas: Sequence[Dataset], leaks: Sequence[np.ndarray] | None
) -> tuple[list[Part], dict[str, int]]:
    """What is kept of each file, all of it where `leaks` is None; and {reason: how many are not}."""
    parts, counts = [], Counter[str]()
    for place, data in enumerate(datas):
        kept = np.ones(len(data.object_category), dtype=bool)
        if leaks is not None:
            kept = ~leaks[place]
            for code in data.object_split[~kept]:
                reason = f"object in {SPLITS[code]} of {data.name}, {SEEN}"
                counts[reason] += 1
        whole = kept[data.pair_source] & kept[data.pair_target]
        if not whole.all():
            counts[f"pair of {data.name} with such an object"] = int((~whole).sum())
        parts.append(Part(data, np.nonzero(kept)[0], np.nonzero(whole)[0]))
    return parts, dict(sorted(counts.items()))


def object_fields(
    parts: Sequence[Part], names: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """The object/* fields that are not long, with the categories and keypoints of `names`."""
    fields: dict[str, list[np.ndarray]] = {name: [] for name in OBJECTS}
    for part in parts:
        for name, found in fields.items():
            found.append(part.data.arrays[name][part.objects])
        local = dict(zip(part.data.categories, part.data.keypoint_names, strict=True))
        rename(fields, local, names)
    return {name: np.concatenate(found) for name, found in fields.items()}


def pair_fields(parts: Sequence[Part], categories: Sequence[str]) -> dict[str, np.ndarray]:
    """The pair/* fields that are not long; their objects are rows of all parts together."""
    fields: dict[str, list[np.ndarray]] = {name: [] for name in PAIRS}
    before = 0
    for part in parts:
        data = part.data
        rows = np.full(len(data.object_category), -1)
        rows[part.objects] = before + np.arange(len(part.objects))
        codes = np.array([categories.index(name) for name in data.categories], dtype=int)
        told = {name: data.arrays[name][part.pairs] for name in PAIRS}
        told["pair/source"], told["pair/target"] = (
            rows[told["pair/source"]],
            rows[told["pair/target"]],
        )
        told["pair/category"] = codes[told["pair/category"]]
        for name, found in fields.items():
            found.append(told[name])
        before += len(part.objects)
    return {name: np.concatenate(found) for name, found in fields.items()}


def long_fields(parts: Sequence[Part]) -> dict[str, np.ndarray | Pieces]:
    """Pictures, and the masks and flow that any file has, with their spans; bytes as they are."""
    found: dict[str, np.ndarray | Pieces] = {}
    for field, spans in LONG.items():
        if any(spans in part.data.arrays for part in parts):
            found[spans], found[field] = packed(parts, field, spans)
    return found


def packed(parts: Sequence[Part], field: str, spans: str) -> tuple[np.ndarray, Pieces]:
    """What the parts have of a long field, one behind another, without what nothing points to.

    Returns:
        (n, 2) first and last+1 row of each object or pair, 0 0 where its file has none; and the
        rows in pieces.
    """
    runs: list[tuple[Dataset, int, int]] = []
    found, end = [], 0
    for part in parts:
        rows = part.objects if field.startswith("object/") else part.pairs
        if spans not in part.data.arrays:
            found.append(np.zeros((len(rows), 2), dtype=np.int64))
            continue
        own = np.asarray(part.data.arrays[spans][rows], dtype=np.int64)
        unique, which = np.unique(own, axis=0, return_inverse=True)
        lengths = unique[:, 1] - unique[:, 0]
        if (lengths < 0).any():
            raise JladkitError(f"{part.data.path}: {spans} must not end before it begins.")
        ends = end + np.cumsum(lengths)
        found.append(np.stack([ends - lengths, ends], axis=1)[which.reshape(-1)])
        end = int(ends[-1]) if len(ends) else end
        runs += [(part.data, first, last) for first, last in merged(unique.tolist())]
    dtype, width = np.dtype(TYPES[field]), FIELDS[field].shape[1:]

    def make() -> Iterator[np.ndarray]:
        for data, first, last in runs:
            for start in range(first, last, PIECE):
                piece = data.on_disk(field)[start : min(start + PIECE, last)]
                yield np.asarray(piece, dtype=dtype)

    shape = (end, *(size for size in width if isinstance(size, int)))
    return np.concatenate(found), Pieces(shape, dtype, make)


def merged(spans: Iterable[Sequence[int]]) -> list[list[int]]:
    """`spans` in order, those that touch as one."""
    runs: list[list[int]] = []
    for first, last in spans:
        if runs and runs[-1][1] == first:
            runs[-1][1] = last
        else:
            runs.append([first, last])
    return runs


def about_of(recipe: Mapping[str, Any]) -> About:
    """The facts of the source that a recipe reads; of a joined one, those of all."""
    builder = str(recipe.get("builder"))
    if builder != "join":
        module = registry.names("source").get(builder, "").partition(":")[0]
        about = getattr(import_module(module), "ABOUT", None) if module else None
        return about or About(builder, UNSTATED, UNSTATED, UNSTATED, layout="")
    every = {about.title: about for about in (about_of(i["recipe"]) for i in recipe["inputs"])}
    told = list(every.values())
    return About(
        title=" and ".join(every),
        url="; ".join(about.url for about in told),
        licence=" ".join(f"{about.title}: {about.licence}." for about in told),
        citation=" ".join(about.citation for about in told),
        layout="",
    )


@click.command("join", short_help="Several dataset.h5 in one.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="The dataset.h5 to write.")  # fmt: skip
@click.option("--name", help="What results call this data set.  [default: all their names]")
@click.option("--leave-out-leakage", is_flag=True,
              help="Leave objects out whose picture another file has in a later split (val after "
              "train, test after val), and their pairs.")  # fmt: skip
@click.option("--allow-leakage", is_flag=True, help="Keep them; else they stop the build.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
def command(files: tuple[Path, ...], out: Path, **values: Any) -> None:
    """Join several dataset.h5 into one, to train on all of them.

    Pictures, objects, pairs and splits stay as they are. Categories of one name become one, with
    the keypoints that any file has of it.

    \b
    jladkit build-dataset join animals.h5 pf_pascal.h5 --out both.h5 --leave-out-leakage
    """
    build(files, out, **values)
