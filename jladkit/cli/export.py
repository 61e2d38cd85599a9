"""jladkit export-pairs: what others need to predict, as pictures and tables that anything reads."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np

from jladkit.errors import JladkitError
from jladkit.formats.dataset import SPLITS, Dataset, open_dataset
from jladkit.formats.files import check_new_folder, folder_aside, write_text
from jladkit.formats.ids import first_of_pair, object_ids, pair_ids
from jladkit.formats.joining import to_source, wanted_objects
from jladkit.formats.pictures import open_encoded

ENDINGS = {"JPEG": "jpg", "PNG": "png", "PPM": "ppm"}
TRANSFORM = ("a", "b", "c", "d", "e", "f")
SIZES = ("source_width", "source_height", "target_width", "target_height")


@click.command("export-pairs")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A dataset.h5.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to make; it must not exist, or be empty.",
)
@click.option(
    "--paths",
    is_flag=True,
    help="Name the original files, and how the pictures lie in them, instead of writing pictures.",
)
@click.option(
    "--objects/--no-objects",
    default=True,
    show_default=True,
    help="Whether to include all that landmark work needs: the objects without pairs, and "
    "those of train.",
)
def command(data: Path, split: str, out: Path, paths: bool, objects: bool) -> None:
    """Write a split's pairs for a method that knows nothing of jladkit.

    The folder gets pairs.csv, keypoints.csv (those of the sources: where they lie in the targets is
    the question), objects.csv, images/ and a README.txt, which says what every column is and in
    which form predictions come back for `jladkit evaluate --predictions`.

    \b
    jladkit export-pairs --data birds.h5 --out birds-test
    jladkit evaluate --data birds.h5 --predictions mine.csv
    """
    check_new_folder(out)
    dataset = open_dataset(data)
    pairs, rows = chosen(dataset, split, objects)
    with folder_aside(out) as folder:
        places = dataset.object_source_image.tolist()
        if not paths:
            places = write_pictures(dataset, rows, folder)
        write_objects(dataset, rows, places, folder, paths)
        if len(pairs):
            write_pairs(dataset, split, pairs, places, folder, paths)
        text = readme(dataset, split, len(pairs), objects, paths)
        write_text(folder / "README.txt", text)
    click.echo(f"Wrote {out}: {len(pairs)} pairs, {len(rows)} objects.", err=True)


def chosen(data: Dataset, split: str, objects: bool) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the split's pairs, each but once, and rows of the objects that are exported.

    Raises:
        JladkitError: there is nothing.
    """
    rows = data.pairs(split)
    pairs = np.unique(first_of_pair(data, rows)) if len(rows) else rows
    ends = np.union1d(data.pair_source[rows], data.pair_target[rows])
    found = np.union1d(ends, wanted_objects(data, split)) if objects else ends
    if not len(found):
        raise JladkitError(
            f"{data.path} has no pairs{' and no objects' * objects} in the {split} split. Give "
            "another --split."
        )
    return pairs, found


def write_pictures(data: Dataset, rows: np.ndarray, folder: Path) -> dict[int, str]:
    """Write the stored pictures of some objects, each but once; the name of each object's.

    Raises:
        JladkitError: one is broken.
    """
    (folder / "images").mkdir()
    names: dict[tuple[int, int], str] = {}
    places: dict[int, str] = {}
    for row in rows.tolist():
        first, last = data.object_image_span[row].tolist()
        if (first, last) not in names:
            raw = data.encoded(row)
            names[first, last] = f"images/{row:06}.{ending(data, row, raw)}"
            (folder / names[first, last]).write_bytes(raw)
        places[row] = names[first, last]
    return places


def ending(data: Dataset, row: int, raw: bytes) -> str:
    """What the name of a picture ends with."""
    try:
        form = str(open_encoded(raw).format)
    except (OSError, ValueError, SyntaxError) as error:
        raise JladkitError(f"{data.path}: the picture of object {row} is broken.") from error
    return ENDINGS.get(form, form.lower())


def write_objects(
    data: Dataset,
    rows: np.ndarray,
    places: Sequence[str] | dict[int, str],
    folder: Path,
    paths: bool,
) -> None:
    """objects.csv; `places` is the picture of each of `rows`."""
    sizes = data.object_source_size if paths else data.object_size
    ids = words_for_objects(data)
    head = ["object", "image", "category", "split", "width", "height"]
    if paths:
        head += ["crop_width", "crop_height", *TRANSFORM]

    def lines() -> Iterable[list[object]]:
        for row in rows.tolist():
            category = data.categories[data.object_category[row]]
            line = [ids[row], places[row], category, SPLITS[data.object_split[row]]]
            line += sizes[row].tolist()
            if paths:
                line += [
                    *data.object_size[row].tolist(),
                    *data.object_to_source[row].ravel().tolist(),
                ]
            yield line

    write_csv(folder / "objects.csv", head, lines())


def write_pairs(
    data: Dataset,
    split: str,
    pairs: np.ndarray,
    places: Sequence[str] | dict[int, str],
    folder: Path,
    paths: bool,
) -> None:
    """pairs.csv, and keypoints.csv with what the sources show."""
    rows = data.pairs(split)[pairs]
    sizes = data.object_source_size if paths else data.object_size
    objects, words = words_for_objects(data), words_for_pairs(data, split, pairs)
    sources, targets = data.pair_source[rows].tolist(), data.pair_target[rows].tolist()
    codes = data.pair_category[rows].tolist()
    head = ["pair", "source", "target", "source_object", "target_object", "category", *SIZES]
    write_csv(
        folder / "pairs.csv",
        head,
        (
            [word, places[a], places[b], objects[a], objects[b], data.categories[code],
             *sizes[a].tolist(), *sizes[b].tolist()]
            for word, a, b, code in zip(words, sources, targets, codes, strict=True)
        ),
    )  # fmt: skip
    points = (
        to_source(data, data.pair_source[rows])
        if paths
        else data.object_keypoints[data.pair_source[rows]]
    )
    write_csv(
        folder / "keypoints.csv",
        ["pair", "keypoint", "name", "x", "y"],
        (
            [word, number, data.keypoint_names[code][number], *own[number].tolist()]
            for word, a, code, own in zip(words, sources, codes, points, strict=True)
            for number in np.nonzero(data.object_visible[a])[0].tolist()
        ),
    )


def words_for_objects(data: Dataset) -> list[str]:
    """What each object is called: its id, or its row where two have the same id."""
    ids = object_ids(data)
    return ids if len(set(ids)) == len(ids) else [str(row) for row in range(len(ids))]


def words_for_pairs(data: Dataset, split: str, pairs: np.ndarray) -> list[str]:
    """What pairs of a split are called: their ids, or their numbers where objects share an id."""
    ids = object_ids(data)
    if len(set(ids)) == len(ids):
        return pair_ids(data, data.pairs(split)[pairs])
    return [str(number) for number in pairs.tolist()]


def write_csv(path: Path, head: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Write a table, numbers unrounded."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(lines)


def readme(data: Dataset, split: str, pairs: int, objects: bool, paths: bool) -> str:
    """What stands in README.txt."""
    return "\n\n".join(
        [
            f"{data.name}, {split} split\n{pairs} pairs. Data set digest: {data.digest}",
            ABOUT_FRAMES[paths],
            *([ABOUT_PAIRS.format(frame=" --frame source" * paths, split=split)] if pairs else []),
            ABOUT_OBJECTS[paths],
            *([ABOUT_LANDMARKS.format(frame=" --frame source" * paths, split=split)] if objects else []),
        ]
    ) + "\n"  # fmt: skip


FRAMES_TEXT = """\
FRAMES
x goes right and y down, in pixels; (0, 0) is the centre of the top left pixel, so that the picture
spans -0.5 to width - 0.5 and -0.5 to height - 0.5. Whoever resizes a picture by a factor s has
x' = (x + 0.5) * s - 0.5. """
ABOUT_FRAMES = {
    False: FRAMES_TEXT
    + """All positions are in pixels of the pictures in images/. They are RGB, or
to be made so; some may be grey.""",
    True: FRAMES_TEXT
    + """All positions are in pixels of the original files, whose paths
are relative to the root of the source.""",
}
ABOUT_PAIRS = """\
pairs.csv       one row a pair: its id; the two pictures; the two objects, as in objects.csv; the
                category; the sizes of the pictures.
keypoints.csv   one row for each keypoint that the source of a pair shows: the pair's id, the
                keypoint's number and name in the category, x and y in the source's picture.

PREDICTIONS OF KEYPOINTS
Say where each row of keypoints.csv lies in the target's picture: a CSV with the columns

    pair,keypoint,x,y

pair and keypoint copied from keypoints.csv (keypoint may be the name too), one row each. Positions
may lie outside the picture; none may be missing. The target of one pair may be the source of
another, whose keypoints are then in this table: a method must not look them up. Score it with

    jladkit evaluate --metric pck --data DATASET.h5 --split {split} --predictions MINE.csv{frame}

Or write an HDF5 file with pair/id (P text), and pair/points (P, K, 2) floats by keypoint number, NaN
where the source has no such keypoint."""
ABOUT_OBJECTS = {
    False: """\
objects.csv     one row an object: its id, its picture, category and split, the picture's size.""",
    True: """\
objects.csv     one row an object: its id, its file, category and split, the file's size; then the
                size of the picture that the data set cut from it, and where that lies:
                x_file = a * x + b * y + c, y_file = d * x + e * y + f.""",
}
ABOUT_LANDMARKS = """\
PREDICTIONS OF LANDMARKS
Find the same L points on every object of objects.csv, those of train too, for landmarks are
regressed onto keypoints there. A CSV with the columns

    object,landmark,x,y

object copied from objects.csv, landmark from 0 to L - 1. Score it with

    jladkit evaluate --metric iod --data DATASET.h5 --split {split} --predictions MINE.csv{frame}

Or write an HDF5 file with object/id (M text) and object/points (M, L, 2) floats."""
