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
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.files import (
    Field,
    digest_of,
    opened,
    read_arrays,
    read_json_attr,
    read_text_attr,
    to_json,
    write_arrays,
    written_aside,
)

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
}

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
}


def write_dataset(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    *,
    name: str,
    recipe: Mapping[str, Any],
    source: Mapping[str, Any],
    overwrite: bool = True,
) -> str:
    """Write a whole dataset.h5, or nothing; the same arguments give the same bytes.

    Args:
        path: the file to make.
        arrays: every field of this module's table, under its name.
        name: what the data set is called in results.
        recipe: builder, all its options, seed and jladkit version; no paths of this machine.
        source: digest over the input files, counts, what was left out and why.
        overwrite: replace a file that exists.

    Returns:
        The digest of its contents, which results carry.

    Raises:
        JladkitError: a field is missing or inconsistent, or the file cannot be written.
    """
    missing = FIELDS.keys() - arrays.keys()
    if missing:
        raise JladkitError(f"{path} cannot be written: {', '.join(sorted(missing))} missing.")
    typed = {
        field: np.asarray(arrays[field], dtype=TYPES.get(field, object)) for field in sorted(FIELDS)
    }
    check_consistency(str(path), typed)
    digest = digest_of(typed)
    with written_aside(path, overwrite=overwrite) as aside, h5py.File(aside, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema"] = SCHEMA
        file.attrs["name"] = name
        file.attrs["recipe"] = to_json(recipe)
        file.attrs["source"] = to_json(source)
        file.attrs["digest"] = digest
        write_arrays(file, typed)
    return digest


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
        return {k: v for k, v in self.__dict__.items() if k != "pixels"}

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

    @cached_property
    def pixels(self) -> Any:
        """The flat array of encoded pictures, on disk; opened once a process.

        As written by us it lies in one piece, and is mapped into memory: a random read then costs
        a copy of its bytes and nothing else. A file repacked by other tools is read through h5py.
        """
        file = h5py.File(self.path, "r")
        found = file["object/image_bytes"]
        assert isinstance(found, h5py.Dataset)
        offset = found.id.get_offset()
        if offset is None:
            return found
        with file:
            return np.memmap(self.path, np.uint8, mode="r", offset=offset, shape=found.shape)

    def encoded(self, row: int) -> bytes:
        """The encoded picture (JPEG or PNG) of one object."""
        first, last = self.arrays["object/image_span"][row]
        return self.pixels[first:last].tobytes()

    def image(self, row: int) -> Image.Image:
        """The RGB picture of one object.

        Raises:
            JladkitError: its bytes are no picture.
        """
        try:
            return Image.open(io.BytesIO(self.encoded(row))).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise JladkitError(f"{self.path}: the picture of object {row} is broken.") from error


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
        arrays = read_arrays(file, FIELDS, skip=("object/image_bytes",))
        check_consistency(str(path), arrays)
        size = file["object/image_bytes"].shape[0]  # pyright: ignore[reportAttributeAccessIssue]
        span = arrays["object/image_span"]
        if span.size and (span.min() < 0 or span.max() > size):
            raise JladkitError(f"{path}: object/image_span points outside object/image_bytes.")
        return Dataset(
            path=path,
            name=read_text_attr(file, "name"),
            digest=read_text_attr(file, "digest"),
            recipe=read_json_attr(file, "recipe"),
            source=read_json_attr(file, "source"),
            arrays=arrays,
        )


def content_digest(path: Path) -> str:
    """The digest as the contents give it; differs from the stored one when a file was edited."""
    with opened(path, FORMAT, SCHEMA, REMEDY) as file:
        return digest_of(read_arrays(file, FIELDS))
