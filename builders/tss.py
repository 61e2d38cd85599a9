"""TSS: 400 pairs of pictures with dense flow both ways and the object's mask, all for testing.

    ROOT/TSS_CVPR2016/<group>/<pair>/image1.png, image2.png     or ROOT is that folder
    ROOT/TSS_CVPR2016/<group>/<pair>/mask1.png, mask2.png       the object: what is not 0
    ROOT/TSS_CVPR2016/<group>/<pair>/flow1.flo, flow2.flo       1: from image1 to image2, 2: back
    ROOT/TSS_CVPR2016/<group>/<pair>/flip_gt.txt                1: one shows the other mirrored
    ROOT/test_pairs_tss.csv                                     CNNGeo's list, where you have it

The groups FG3DCar, JODS and PASCAL are the categories. Each pair counts
twice, from image1 to image2 and back: 800 rows. The box of an object is the extent of its mask.

flowN.flo is Middlebury's format on the pixels of imageN.png: their displacement in pixels to the
other picture. Its 1e10 outside the object, where the flow is not known, becomes NaN. It leads into
the other picture as it lies on disk, also where flip_gt is 1: there the displacement itself holds
the mirroring. The authors' evaluation kit (t-taniai/TSS_CVPR2016_EvaluationKit) and DenseMatching
read it so. All of this was checked on the kit's six sample pairs: masks and known flow agree to
the pixel, and the flow of its flipped pair meets the object in the picture as it is (94 % of the
pixels) rather than in its mirror picture (79 %).

A method that cannot turn an object around fails at such a pair. CNNGeo's list therefore names them
(flip_img_A), and its code mirrors the picture that is warped. It then writes the flow into the
mirrored picture, which the kit holds against flow into the unmirrored one; that mistake is not
repeated. Here the target's picture is stored mirrored, with its mask, and the flow leads into it.
Distances are the same in a mirror, so the scores are those of the kit.

A row of the list is source_image, target_image, flow_direction, flip_img_A, pair_category. It
calls the picture that is warped the source and the one whose pixels have flow the target. Here, as
everywhere in jladkit, the flow starts at the source's pixels: flow_direction N makes imageN the
source. The list itself was not to be had; its columns are those that WeakAlign's code reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import click
import numpy as np

from jladkit.builders.about import About
from jladkit.builders.build import check_start
from jladkit.builders.crops import looks_like_html, open_picture
from jladkit.builders.objects import Annotation, Found
from jladkit.builders.official import Listed, build_listed, checked_name, picture_size, read_rows
from jladkit.builders.options import Job, job_options
from jladkit.builders.pf_willow import UNPAIRED, check_annotations
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.masks import decode_mask, encode_mask

RELEASE = "TSS_CVPR2016"
ABOUT = About(
    title="TSS",
    url="https://taniai.space/projects/cvpr16_dccs/",
    licence="for research use only",
    citation="T. Taniai, S. N. Sinha, Y. Sato: Joint Recovery of Dense Correspondence and "
    "Cosegmentation in Two Images. CVPR 2016.",
    layout="""
TSS_CVPR2016/{FG3DCar,JODS,PASCAL}/<pair>/image1.png, image2.png, mask1.png, mask2.png
TSS_CVPR2016/{FG3DCar,JODS,PASCAL}/<pair>/flow1.flo, flow2.flo, flip_gt.txt
test_pairs_tss.csv     CNNGeo's list of pairs, where you have it
""",
    creator="T. Taniai, S. N. Sinha, Y. Sato",
    published="2016",
)
GROUPS = ("FG3DCar", "JODS", "PASCAL")
LIST = "test_pairs_tss.csv"
COLUMNS = ("source_image", "target_image", "flow_direction", "flip_img_A", "pair_category")
TEST = 2
TAG = b"PIEH"  # the first four bytes of a .flo; as a float32 they are 202021.25
UNKNOWN = 1e9  # px; beyond it Middlebury's format calls a flow not known
LARGEST = 99999  # px; the largest side that Middlebury's own reader takes


@dataclass(frozen=True, kw_only=True)
class Options:
    """Whose pairs, and what becomes of flipped ones; None: the list's, if there is one.

    `pairs` is "list" or "all". `flips` is "list" (as its rows say), "keep" or "undo".
    """

    name: str = "tss"
    seed: int = 0
    pairs: str | None = None
    flips: str | None = None


class Row(NamedTuple):
    """A pair: <group>/<pair>, the number of the picture that the flow starts at, and whether the
    list has its flip undone."""

    folder: str
    source: int
    flipped: bool = False

    @property
    def target(self) -> int:
        return 3 - self.source


@dataclass(frozen=True)
class Side:
    """One picture of a folder.

    Attributes:
        size: its width and height.
        mask: of its object, encoded.
        box: (4,) x1 y1 x2 y2 edges around the mask.
        unlike: for how many pixels the mask says otherwise than the flow.
    """

    size: tuple[int, int]
    mask: bytes
    box: np.ndarray
    unlike: int


@dataclass(frozen=True)
class Told:
    """What a folder says: its two sides by number, and whether one shows the other mirrored."""

    sides: Mapping[int, Side]
    flipped: bool


def build(root: Path, options: Options, job: Job) -> str:
    """Build a dataset.h5 from TSS; returns the digest of its contents.

    Args:
        root: the folder with TSS_CVPR2016, or that folder.
        options: enter the recipe; `pairs` and `flips` as it was found.
        job: output, workers, strictness.

    Raises:
        UsageError: `root` is no folder, there is no list where one was wanted, or the output
            exists.
        JladkitError: it has another layout, files are missing, or no pair is left.
    """
    check_start(root, job)
    base = find_folder(root)
    path = find_list(root, base) if options.pairs != "all" else None
    options = resolved(options, root, path)
    listed = Listed(found=Found(strict=job.strict))
    if path is not None:
        rows = read_rows(path, len(COLUMNS), ", ".join(COLUMNS), parse_row, listed.found)
    else:
        rows = all_rows(base, listed.found)
    folders = sorted({row.folder for row in rows})
    read = {folder: read_folder(base, folder, listed.found) for folder in folders}
    told = {folder: one for folder, one in read.items() if one is not None}
    rows = add_rows(listed, rows, told, path or base, options)
    check_annotations(listed.found, ABOUT, job)
    if not listed.pairs:
        raise JladkitError(f"No pair is left of {path or base}. Download TSS again.")
    listed.flow = lambda number: pair_flow(base, rows[number], told)
    names = {annotation.category: () for annotation in listed.annotations}
    facts = notes(rows, told, options)
    return build_listed("tss", base, listed, options, job, about=ABOUT, names=names,
                        notes=lambda _: facts)  # fmt: skip


def find_folder(root: Path) -> Path:
    """The folder that holds the groups.

    Raises:
        JladkitError: there is none.
    """
    for base in (root / RELEASE, root):
        if any((base / group).is_dir() for group in GROUPS):
            return base
    raise JladkitError(
        f"{root} is not in TSS's layout: expected {RELEASE}/{{{','.join(GROUPS)}}} with a folder "
        "for each pair. Give the folder that TSS_CVPR2016.zip was unpacked into."
    )


def find_list(root: Path, base: Path) -> Path | None:
    """The list of pairs, or None."""
    places = [folder / LIST for folder in (root, root / "image_pairs", base)]
    return next((path for path in places if path.is_file()), None)


def resolved(options: Options, root: Path, path: Path | None) -> Options:
    """The options with `pairs` and `flips` as the presence of a list decides them.

    Raises:
        UsageError: they want a list that is not there, or is not to be read.
    """
    if options.pairs == "all" and options.flips == "list":
        raise UsageError("--flips list follows the list, which --pairs all does not read. "
                         "Leave one of them out.")  # fmt: skip
    wanted = next((name for name in ("pairs", "flips") if getattr(options, name) == "list"), None)
    if path is None and wanted is not None:
        raise UsageError(f"There is no {LIST} in {root}. Leave --{wanted} list out.")
    pairs, flips = ("all", "keep") if path is None else ("list", "list")
    return replace(options, pairs=pairs, flips=options.flips or flips)


def all_rows(base: Path, found: Found) -> list[Row]:
    """Every pair of every group both ways, in order of name; a missing group is noted."""
    rows = []
    for group in GROUPS:
        if not (base / group).is_dir():
            found.missing.append(str(base / group))
            continue
        folders = sorted(p.name for p in (base / group).iterdir() if p.is_dir())
        names = [f"{group}/{name}" for name in folders if not name.startswith(".")]
        rows += [Row(name, source) for name in names for source in (1, 2)]
    return rows


def parse_row(record: Sequence[str]) -> Row:
    """One line of the list; raises ValueError where it is off."""
    if len(record) != len(COLUMNS):
        raise ValueError(f"{len(record)} columns")
    parts = [PurePosixPath(checked_name(cell)).parts[-3:] for cell in record[:2]]
    pictures = {part[-1] for part in parts}
    if pictures != {"image1.png", "image2.png"} or parts[0][:-1] != parts[1][:-1]:
        raise ValueError("its pictures must be image1.png and image2.png of one folder")
    if len(parts[0]) < 3 or parts[0][0] not in GROUPS:
        raise ValueError(f"{record[0]!r} is in none of the folders {', '.join(GROUPS)}")
    direction, flipped = float(record[2]), float(record[3])
    if direction not in (1, 2) or flipped not in (0, 1):
        raise ValueError("flow_direction must be 1 or 2, flip_img_A 0 or 1")
    return Row("/".join(parts[0][:-1]), int(direction), flipped == 1)


def read_folder(base: Path, folder: str, found: Found) -> Told | None:
    """What a pair's folder says, or None after what it lacks was counted as missing or broken."""
    sides = {number: read_side(base, folder, number, found) for number in (1, 2)}
    flip = read_flip(base, f"{folder}/flip_gt.txt", found)
    whole = {number: side for number, side in sides.items() if side is not None}
    return Told(whole, flip) if len(whole) == 2 and flip is not None else None


def read_side(base: Path, folder: str, number: int, found: Found) -> Side | None:
    """The mask of one picture, held against its flow, or None after it was counted."""
    mask = read_mask(base, f"{folder}/mask{number}.png", found)
    flow = read_flow(base, f"{folder}/flow{number}.flo", found)
    size = picture_size(base / folder / f"image{number}.png")
    if mask is None or flow is None:
        return None
    sizes = {mask.shape, flow.shape[:2], size[::-1] if size is not None else mask.shape}
    if len(sizes) > 1:
        where = base / folder
        found.refuse("picture, mask and flow differ in size", where, f"See its files {number}")
        return None
    y, x = np.nonzero(mask)
    box = np.array([x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5])
    unlike = int((mask != np.isfinite(flow).all(axis=-1)).sum())
    return Side((mask.shape[1], mask.shape[0]), encode_mask(mask), box, unlike)


def read_mask(base: Path, name: str, found: Found) -> np.ndarray | None:
    """(H, W) bool of a mask's file, or None after it was counted as missing or broken."""
    raw = found.read(base / name, name)
    if raw is None:
        return None
    try:
        mask = np.asarray(open_picture(base / name, raw).image.convert("L")) > 0
    except (JladkitError, OSError, ValueError, SyntaxError) as error:
        reason = "mask is a web page" if looks_like_html(raw) else "mask broken"
        found.refuse(reason, base / name, f"Reading it failed ({error}). Download it again")
        return None
    if not mask.any():
        found.refuse("mask empty", base / name, "It shows no object. Download it again")
        return None
    return mask


def read_flow(base: Path, name: str, found: Found) -> np.ndarray | None:
    """(H, W, 2) float32 flow of a .flo file, or None after it was counted as missing or broken."""
    raw = found.read(base / name, name)
    if raw is None:
        return None
    try:
        return parse_flow(raw)
    except ValueError as error:
        reason = "flow is a web page" if looks_like_html(raw) else "flow broken"
        found.refuse(reason, base / name, f"It is off ({error}). Download it again")
        return None


def parse_flow(raw: bytes) -> np.ndarray:
    """(H, W, 2) float32 displacements of Middlebury's .flo format, NaN where not known.

    Raises:
        ValueError: it is another format, or not whole.
    """
    if len(raw) < 12 or raw[:4] != TAG:
        raise ValueError("a .flo file starts with PIEH, width and height")
    width, height = (int(side) for side in np.frombuffer(raw, "<i4", 2, 4))
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise ValueError(f"its size is {width} x {height}")
    if len(raw) != 12 + 8 * width * height:
        raise ValueError(f"{width} x {height} pixels take {12 + 8 * width * height} bytes, "
                         f"but it has {len(raw)}")  # fmt: skip
    flow = np.frombuffer(raw, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
    flow[~(np.abs(flow) < UNKNOWN).all(axis=-1)] = np.nan  # NaN in the file is not known either
    return flow


def read_flip(base: Path, name: str, found: Found) -> bool | None:
    """What flip_gt.txt says, or None after it was counted as missing or broken."""
    raw = found.read(base / name, name)
    if raw is None:
        return None
    if raw.strip() not in (b"0", b"1"):
        reason = "flip_gt.txt is a web page" if looks_like_html(raw) else "flip_gt.txt broken"
        found.refuse(reason, base / name, "It must say 0 or 1. Download it again")
        return None
    return raw.strip() == b"1"


def add_rows(
    listed: Listed, rows: Sequence[Row], told: Mapping[str, Told], where: Path, options: Options
) -> list[Row]:
    """The objects, each once, with their masks, and the pairs of the rows.

    Args:
        listed: takes them.
        rows: of the list, or all.
        told: what the folders say that are whole.
        where: the list, or the folder, that a row left out is counted for.
        options: `flips` decides whose targets are mirrored.

    Returns:
        The row of each pair, `flipped` where its target is mirrored.
    """
    place: dict[tuple[str, int, bool], int] = {}
    listed.masks = []
    kept: list[Row] = []
    for row in rows:
        if row.folder not in told:
            listed.found.skip(UNPAIRED, where)
            continue
        undo = {"list": row.flipped, "keep": False, "undo": told[row.folder].flipped}
        kept.append(row._replace(flipped=undo[str(options.flips)]))
        ends = []
        for number, mirrored in ((row.source, False), (row.target, kept[-1].flipped)):
            key = (row.folder, number, mirrored)
            if key not in place:
                place[key] = len(listed.annotations)
                side = told[row.folder].sides[number]
                listed.annotations.append(as_object(row.folder, number, side, mirrored))
                listed.masks.append(mirror_mask(side.mask) if mirrored else side.mask)
            ends.append(place[key])
        listed.pairs.append((ends[0], ends[1], TEST))
    return kept


def as_object(folder: str, number: int, side: Side, mirrored: bool) -> Annotation:
    """The object of one picture of a folder; its mirror picture is its object 1."""
    image, group = f"{folder}/image{number}.png", folder.partition("/")[0]
    return Annotation(image, int(mirrored), group, {}, side.box, split=TEST, mirrored=mirrored)


def mirror_mask(mask: bytes) -> bytes:
    """An encoded mask with left and right exchanged."""
    return encode_mask(decode_mask(mask)[:, ::-1])


def pair_flow(base: Path, row: Row, told: Mapping[str, Told]) -> np.ndarray:
    """(H, W, 2) float32 flow of a pair, into the mirror picture where its target is mirrored.

    Raises:
        JladkitError: the file is no longer what it was.
    """
    path = base / row.folder / f"flow{row.source}.flo"
    try:
        flow = parse_flow(path.read_bytes())
    except (OSError, ValueError) as error:
        raise JladkitError(f"{path} changed while it was read ({error}). Build again.") from error
    if row.flipped:
        # x + u becomes (width - 1) - (x + u), from which x is taken again.
        width = told[row.folder].sides[row.target].size[0]
        x = np.arange(flow.shape[1])
        flow[..., 0] = width - 1 - 2 * x - flow[..., 0].astype(float)
    return flow


def notes(rows: Sequence[Row], told: Mapping[str, Told], options: Options) -> dict[str, Any]:
    """Facts for the `source` attribute: of the pairs, of their folders, and of the masks."""
    folders = [told[folder] for folder in sorted({row.folder for row in rows})]
    sides = [side for folder in folders for side in folder.sides.values()]
    return {
        "box": "extent of the mask",
        "pairs_flipped": sum(told[row.folder].flipped for row in rows),
        "pairs_with_mirrored_target": sum(row.flipped for row in rows),
        "mask_pixels_unlike_flow": sum(side.unlike for side in sides),
        **({"rows_unlike_flip_gt": sum(row.flipped != told[row.folder].flipped for row in rows)}
           if options.flips == "list" else {}),
    }  # fmt: skip


@click.command("tss", short_help="TSS: dense flow and masks, pairs both ways.")
@job_options("tss")
@click.option("--pairs", type=click.Choice(["list", "all"]),
              help="list: those of test_pairs_tss.csv, in its order. all: every folder's pair, "
              "both ways.  [default: list, if there is one]")  # fmt: skip
@click.option("--flips", type=click.Choice(["list", "keep", "undo"]),
              help="Pairs of which one picture shows the other's object mirrored. keep: pictures "
              "and flow as they are on disk. undo: the target is stored mirrored, and the flow "
              "leads there. list: undo where flip_img_A is 1.  [default: list, if there is one, "
              "else keep]")  # fmt: skip
def command(root: Path, job: Job, **values: Any) -> None:
    """Build from TSS; every pair is for testing, and has flow and masks.

    ROOT holds TSS_CVPR2016, with the groups FG3DCar, JODS and PASCAL, and the list of pairs,
    where you have it.

    \b
    jladkit build-dataset tss TSS --out tss.h5
    """
    build(root, Options(**values), job)
