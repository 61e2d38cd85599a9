"""dataset.h5: objects with their pictures, keypoints and viewpoints, and the pairs made of them.

Frame of every coordinate: xy in pixels of the stored picture, (0, 0) the centre of its top left
pixel. A box is x1, y1, x2, y2 of its edges in that frame, so that a box around the whole picture
is (-0.5, -0.5, W - 0.5, H - 0.5) and its width is x2 - x1.

Sizes: C categories, N objects, P pairs, K the most keypoints a category has. A category with
fewer keypoints has "" for a name and NaN for a position in the rest of its row.

    category/name            (C,) text
    category/keypoint_names  (C, K) text
    category/flip            (C, K) where each keypoint goes in a mirror picture; -1 not known
    category/iod_pair        (C, 2) the two keypoints that normalise IOD (the eyes), or -1 -1
    object/image_bytes       (bytes,) the encoded pictures, one behind the other
    object/image_span        (N, 2) first and last+1 byte of an object's picture; may be shared
    object/source_image      (N,) path of the source picture below the source's root
    object/source_index      (N,) which object of that picture's record, from 0
    object/source_size       (N, 2) width and height of the source picture
    object/to_source         (N, 2, 3) affine map from xy of the stored picture to the source's
    object/category          (N,) row of category/*
    object/keypoints         (N, K, 2) xy; NaN where none is annotated
    object/visible           (N, K) counted in scores and in pairs
    object/status            (N, K) the source's own code (PASCAL3D+: 1 visible ...), -1 none
    object/box               (N, 4) x1 y1 x2 y2
    object/size              (N, 2) width and height of the stored picture
    object/viewpoint         (N, 4) azimuth, elevation, theta in degrees, distance; NaN not known
    object/truncated, object/occluded, object/difficult   (N,) 1, 0, or -1 not known
    object/split             (N,) 0 train, 1 val, 2 test
    pair/source, pair/target (P,) rows of object/*
    pair/category            (P,) row of category/*
    pair/split               (P,) 0 train, 1 val, 2 test
    pair/common              (P,) how many keypoints are visible in both

    input/name, input/sha256 (I,), (I, 32) each file that was read, and its digest

Only where a source has them:

    object/mask_bytes        (mask bytes,) 1-bit PNGs, white where the object is
    object/mask_span         (N, 2) first and last+1 byte of an object's mask; equal where it has none
    pair/flow                (F, 2) from each pixel of a pair's source picture, row by row, to its
                             place in the target's: a displacement in pixels, NaN where not known
    pair/flow_span           (P, 2) first and last+1 row of a pair's flow; equal where it has none
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.files import (
    Field,
    Pieces,
    digest_of,
    opened,
    read_arrays,
    read_json_attr,
    read_text_attr,
    to_json,
    write_arrays,
    written_aside,
)
from jladkit.formats.masks import decode_mask
from jladkit.formats.pictures import open_encoded

FORMAT = "jladkit-dataset"
SCHEMA = 1
SPLITS = ("train", "val", "test")
REMEDY = "jladkit build-dataset SOURCE ROOT --out FILE"

FIELDS = {
    "category/name": Field("O", ("C",)),
    "category/keypoint_names": Field("O", ("C", "K")),
    "category/flip": Field("i", ("C", "K")),
    "category/iod_pair": Field("i", ("C", 2)),
    "object/image_bytes": Field("i", ("bytes",)),
    "object/image_span": Field("i", ("N", 2)),
    "object/source_image": Field("O", ("N",)),
    "object/source_index": Field("i", ("N",)),
    "object/source_size": Field("i", ("N", 2)),
    "object/to_source": Field("f", ("N", 2, 3)),
    "object/category": Field("i", ("N",)),
    "object/keypoints": Field("f", ("N", "K", 2)),
    "object/visible": Field("b", ("N", "K")),
    "object/status": Field("i", ("N", "K")),
    "object/box": Field("f", ("N", 4)),
    "object/size": Field("i", ("N", 2)),
    "object/viewpoint": Field("f", ("N", 4)),
    "object/truncated": Field("i", ("N",)),
    "object/occluded": Field("i", ("N",)),
    "object/difficult": Field("i", ("N",)),
    "object/split": Field("i", ("N",)),
    "pair/source": Field("i", ("P",)),
    "pair/target": Field("i", ("P",)),
    "pair/category": Field("i", ("P",)),
    "pair/split": Field("i", ("P",)),
    "pair/common": Field("i", ("P",)),
    "object/mask_bytes": Field("i", ("mask bytes",), optional=True),
    "object/mask_span": Field("i", ("N", 2), optional=True),
    "pair/flow": Field("f", ("F", 2), optional=True),
    "pair/flow_span": Field("i", ("P", 2), optional=True),
}

INPUTS = {"input/name": Field("O", ("I",)), "input/sha256": Field("i", ("I", 32))}

# Fields that stay on disk, and the spans that say which part is whose.
LONG = {
    "object/image_bytes": "object/image_span",
    "object/mask_bytes": "object/mask_span",
    "pair/flow": "pair/flow_span",
}
PIECE = 1 << 24  # bytes that are read at a time

# What write_dataset stores each field as; readers accept any width of the same kind.
TYPES = {
    "category/flip": np.int32,
    "category/iod_pair": np.int32,
    "object/image_bytes": np.uint8,
    "object/image_span": np.int64,
    "object/source_index": np.int32,
    "object/source_size": np.int32,
    "object/to_source": np.float64,
    "object/category": np.int32,
    "object/keypoints": np.float64,
    "object/visible": np.bool_,
    "object/status": np.int8,
    "object/box": np.float64,
    "object/size": np.int32,
    "object/viewpoint": np.float64,
    "object/truncated": np.int8,
    "object/occluded": np.int8,
    "object/difficult": np.int8,
    "object/split": np.uint8,
    "pair/source": np.int32,
    "pair/target": np.int32,
    "pair/category": np.int32,
    "pair/split": np.uint8,
    "pair/common": np.int32,
    "object/mask_bytes": np.uint8,
    "object/mask_span": np.int64,
    "pair/flow": np.float32,
    "pair/flow_span": np.int64,
}


def write_dataset(
    path: Path,
    arrays: Mapping[str, np.ndarray | Pieces],
    *,
    name: str,
    recipe: Mapping[str, Any],
    source: Mapping[str, Any],
    files: Sequence[tuple[str, str]] = (),
    overwrite: bool = True,
) -> str:
    """Write a whole dataset.h5, or nothing; the same arguments give the same bytes.

    Args:
        path: the file to make.
        arrays: every field of this module's table, under its name; the long ones in pieces.
        name: what the data set is called in results.
        recipe: builder, all its options, seed and jladkit version; no paths of this machine.
        source: digest over the input files, counts, what was left out and why.
        files: name and SHA-256 (hexadecimal) of each input file; not part of the digest.
        overwrite: replace a file that exists.

    Returns:
        The digest of its contents, which results carry.

    Raises:
        JladkitError: a field is missing or inconsistent, or the file cannot be written.
    """
    missing = {name for name, field in FIELDS.items() if not field.optional} - arrays.keys()
    if missing:
        raise JladkitError(f"{path} cannot be written: {', '.join(sorted(missing))} missing.")
    long = {name: array for name, array in arrays.items() if isinstance(array, Pieces)}
    typed = {
        field: np.asarray(arrays[field], dtype=TYPES.get(field, object))
        for field in FIELDS.keys() & arrays.keys() - long.keys()
    }
    check_consistency(str(path), typed)
    with written_aside(path, overwrite=overwrite) as aside, h5py.File(aside, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema"] = SCHEMA
        file.attrs["name"] = name
        file.attrs["recipe"] = to_json(recipe)
        file.attrs["source"] = to_json(source)
        digest = write_arrays(file, {**typed, **long})
        file.attrs["digest"] = digest
        write_arrays(file, as_arrays(files))
    return digest


def as_arrays(files: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """The input/* fields."""
    digests = b"".join(bytes.fromhex(sha256) for _, sha256 in files)
    return {
        "input/name": np.array([name for name, _ in files], dtype=object),
        "input/sha256": np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32),
    }


def check_consistency(filename: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise JladkitError when a row number points at no row, a split is none of the three, a
    picture has no size, or a visible keypoint no position."""
    objects, categories = len(arrays["object/category"]), len(arrays["category/name"])
    keypoints = arrays["category/keypoint_names"].shape[1]
    limits = {
        "category/flip": (-1, keypoints),
        "category/iod_pair": (-1, keypoints),
        "object/category": (0, categories),
        "object/size": (1, 1 << 31),
        "object/split": (0, len(SPLITS)),
        "pair/source": (0, objects),
        "pair/target": (0, objects),
        "pair/category": (0, categories),
        "pair/split": (0, len(SPLITS)),
    }
    for field, (low, high) in limits.items():
        values = arrays[field]
        if values.size and (int(values.min()) < low or int(values.max()) >= high):
            raise JladkitError(
                f"{filename}: {field} must lie in {low}..{high - 1}, "
                f"but spans {values.min()}..{values.max()}."
            )
    finite = np.isfinite(arrays["object/keypoints"]).all(axis=-1)
    if (arrays["object/visible"] & ~finite).any():
        row = int(np.nonzero((arrays["object/visible"] & ~finite).any(axis=1))[0][0])
        raise JladkitError(f"{filename}: object {row} has a visible keypoint without a position.")


@dataclass
class Dataset:
    """An open dataset.h5: every small array in memory, pictures read when asked for.

    Attributes carry the shapes and frames of the module's table. Safe to send to a worker
    process: the file is opened anew there.
    """

    path: Path
    name: str
    digest: str
    recipe: dict[str, Any]
    source: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "mapped"}

    @property
    def categories(self) -> list[str]:
        """The C category names."""
        return [str(name) for name in self.arrays["category/name"]]

    @property
    def keypoint_names(self) -> list[list[str]]:
        """The names of each category's keypoints, without the filling "" of short rows."""
        return [[str(n) for n in row if n] for row in self.arrays["category/keypoint_names"]]

    def __getattr__(self, name: str) -> np.ndarray:
        """`data.object_keypoints` is `data.arrays["object/keypoints"]`."""
        group, _, field = name.partition("_")
        try:
            return self.__dict__["arrays"][f"{group}/{field}"]
        except KeyError:
            raise AttributeError(name) from None

    def pairs(self, split: str) -> np.ndarray:
        """Rows of pair/* in a split, in file order.

        Raises:
            UsageError: `split` is none of train, val, test.
        """
        return np.nonzero(self.arrays["pair/split"] == split_code(split))[0]

    def objects(self, split: str) -> np.ndarray:
        """Rows of object/* in a split, in file order."""
        return np.nonzero(self.arrays["object/split"] == split_code(split))[0]

    def on_disk(self, field: str) -> Any:
        """One of the LONG fields, left on disk; opened once a process.

        As written by us it lies in one piece, and is mapped into memory: a random read then costs
        a copy of its bytes and nothing else. A virtual data set, and a file repacked by other
        tools, are read through h5py.
        """
        mapped = self.__dict__.setdefault("mapped", {})
        if field not in mapped:
            mapped[field] = self.map_field(field)
        return mapped[field]

    def map_field(self, field: str) -> Any:
        """The memory map of a field, or the open HDF5 data set."""
        file = h5py.File(self.path, "r")
        found = file[field]
        assert isinstance(found, h5py.Dataset)
        offset = found.id.get_offset()
        if offset is None:
            return found
        with file:
            return np.memmap(self.path, found.dtype, mode="r", offset=offset, shape=found.shape)

    def encoded(self, row: int) -> bytes:
        """The encoded picture (JPEG, PNG or PPM) of one object."""
        first, last = self.arrays["object/image_span"][row]
        return self.on_disk("object/image_bytes")[first:last].tobytes()

    def image(self, row: int) -> Image.Image:
        """The RGB picture of one object.

        Raises:
            JladkitError: its bytes are no picture.
        """
        try:
            return open_encoded(self.encoded(row)).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise JladkitError(f"{self.path}: the picture of object {row} is broken.") from error

    def mask(self, row: int) -> np.ndarray | None:
        """(H, W) bool, where the object is in its stored picture; None where the source has none.

        Raises:
            JladkitError: its bytes are no picture.
        """
        if "object/mask_span" not in self.arrays:
            return None
        first, last = self.arrays["object/mask_span"][row]
        if first == last:
            return None
        try:
            raw = self.on_disk("object/mask_bytes")[first:last].tobytes()
            return decode_mask(raw)
        except (OSError, ValueError, SyntaxError) as error:
            raise JladkitError(f"{self.path}: the mask of object {row} is broken.") from error

    def flow(self, row: int) -> np.ndarray | None:
        """(H, W, 2) float32, the displacement in pixels from each pixel of the pair's source
        picture to its place in the target's, NaN where not known; None where there is none."""
        if "pair/flow_span" not in self.arrays:
            return None
        first, last = self.arrays["pair/flow_span"][row]
        width, height = self.arrays["object/size"][self.arrays["pair/source"][row]]
        if last - first != width * height:
            return None
        return np.asarray(self.on_disk("pair/flow")[first:last]).reshape(height, width, 2)


def split_code(split: str) -> int:
    """0 for train, 1 for val, 2 for test."""
    if split not in SPLITS:
        raise UsageError(f"Unknown split {split!r}. Known: {', '.join(SPLITS)}.")
    return SPLITS.index(split)


def open_dataset(path: Path) -> Dataset:
    """Read a dataset.h5 and check every field of it.

    Raises:
        JladkitError: the file is missing, not HDF5, of another format or schema, or a field is
            missing or does not fit the others.
    """
    with opened(path, FORMAT, SCHEMA, REMEDY) as file:
        arrays = read_arrays(file, FIELDS, skip=tuple(LONG))
        check_consistency(str(path), arrays)
        for field, spans in LONG.items():
            check_spans(path, file.get(field), arrays.get(spans), field, spans)
        return Dataset(
            path=path,
            name=read_text_attr(file, "name"),
            digest=read_text_attr(file, "digest"),
            recipe=read_json_attr(file, "recipe"),
            source=read_json_attr(file, "source"),
            arrays=arrays,
        )


def input_files(path: Path) -> dict[str, str]:
    """Name to SHA-256 of every file that a dataset.h5 was made from.

    Raises:
        JladkitError: it is no dataset.h5, or does not list them.
    """
    with opened(path, FORMAT, SCHEMA, REMEDY) as file:
        arrays = read_arrays(file, INPUTS)
    return {
        str(name): digest.astype(np.uint8).tobytes().hex()
        for name, digest in zip(arrays["input/name"], arrays["input/sha256"], strict=True)
    }


def check_spans(path: Path, long: Any, span: np.ndarray | None, field: str, spans: str) -> None:
    """Raise JladkitError unless a long field and its spans come together, and fit."""
    if (long is None) != (span is None):
        raise JladkitError(f"{path}: {field} and {spans} must come together. Run: {REMEDY}")
    if span is not None and span.size and (span.min() < 0 or span.max() > long.shape[0]):
        raise JladkitError(f"{path}: {spans} points outside {field}.")


def content_digest(path: Path) -> str:
    """The digest as the contents give it; differs from the stored one when a file was edited."""
    with opened(path, FORMAT, SCHEMA, REMEDY) as file:
        arrays: dict[str, Any] = read_arrays(file, FIELDS, skip=tuple(LONG))
        arrays |= {field: in_pieces(file[field]) for field in LONG if field in file}
        return digest_of(arrays)


def in_pieces(stored: Any) -> Pieces:
    """An HDF5 data set, read a few megabytes at a time."""
    rows = max(1, PIECE // (stored.dtype.itemsize * int(np.prod(stored.shape[1:]))))

    def make() -> Iterator[np.ndarray]:
        for start in range(0, stored.shape[0], rows):
            yield stored[start : start + rows]

    return Pieces(stored.shape, stored.dtype, make)
