"""Data sets with masks and dense flow, drawn for tests, each in the layout of its release."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.builders.layouts import picture

WIDE, HIGH = 20, 14  # the object of a TSS picture
SIZES = {1: (48, 36), 2: (52, 40)}  # width and height of image1 and image2
CORNERS = {1: (9, 5), 2: (21, 17)}  # where the object's first pixel lies in them
TRIANGLE = np.array([[10.3, 8.2], [60.7, 12.4], [30.1, 50.9]])
SQUARE = np.array([[20.0, 10.0], [50.0, 10.0], [50.0, 40.0], [20.0, 40.0]])


def write_flo(path: Path, flow: np.ndarray) -> None:
    """(H, W, 2) as Middlebury writes it, 1e10 for NaN."""
    height, width = flow.shape[:2]
    known = np.nan_to_num(flow.astype("<f4"), nan=1e10)
    path.write_bytes(struct.pack("<4sii", b"PIEH", width, height) + known.tobytes())


def object_colours() -> np.ndarray:
    """(HIGH, WIDE, 3) a colour of its own for each pixel of the object."""
    b, a = np.mgrid[:HIGH, :WIDE]
    return np.stack([12 * a, 18 * b, np.full_like(a, 200)], axis=-1).astype(np.uint8)


def tss_flow(number: int, flip: bool) -> np.ndarray:
    """(H, W, 2) from image`number` to the other, NaN around the object."""
    (width, height), (x, y) = SIZES[number], CORNERS[number]
    flow = np.full((height, width, 2), np.nan)
    b, a = np.mgrid[:HIGH, :WIDE]
    to_x, to_y = CORNERS[3 - number]
    flow[y : y + HIGH, x : x + WIDE, 0] = to_x + (WIDE - 1 - a if flip else a) - (x + a)
    flow[y : y + HIGH, x : x + WIDE, 1] = to_y + b - (y + b)
    return flow


def write_tss_pair(base: Path, name: str, flip: bool = False, palette: bool = False) -> Path:
    """<group>/<pair> with one object in both pictures, in the second one turned where `flip`.

    Returns:
        The pair's folder.
    """
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, (width, height) in SIZES.items():
        pixels = np.full((height, width, 3), 90, np.uint8)
        mask = np.zeros((height, width), np.uint8)
        x, y = CORNERS[number]
        colours = object_colours()
        turned = colours[:, ::-1] if flip and number == 2 else colours
        pixels[y : y + HIGH, x : x + WIDE] = turned
        mask[y : y + HIGH, x : x + WIDE] = 1 if palette else 255
        mask[y, x] = mask[y, x] // 2 + 1  # a border that was smoothed: grey, but object
        Image.fromarray(pixels).save(folder / f"image{number}.png")
        drawn = Image.fromarray(mask)
        if palette:  # as the masks of JODS are
            drawn.putpalette([0, 0, 0, 255, 255, 255])
        drawn.save(folder / f"mask{number}.png")
        write_flo(folder / f"flow{number}.flo", tss_flow(number, flip))
    (folder / "flip_gt.txt").write_text(str(int(flip)))
    return folder


def tss_root(root: Path, inside: str = "TSS_CVPR2016") -> Path:
    """A release with a pair in each group and a second, flipped one in PASCAL."""
    write_tss_pair(root / inside, "FG3DCar/001_005")
    write_tss_pair(root / inside, "JODS/car_01_02", palette=True)
    write_tss_pair(root / inside, "PASCAL/bike_01_02")
    write_tss_pair(root / inside, "PASCAL/bike_01_03", flip=True)
    return root


def tss_row(folder: str, direction: int, flip: int = 0) -> str:
    """A row of CNNGeo's list: the picture that is warped comes first."""
    names = [f"TSS_CVPR2016/{folder}/image{n}.png" for n in (3 - direction, direction)]
    return ",".join([*names, str(direction), str(flip), "1"])


def write_tss_list(path: Path, rows: Sequence[str]) -> None:
    """test_pairs_tss.csv."""
    head = "source_image,target_image,flow_direction,flip_img_A,pair_category"
    path.write_text("\n".join([head, *rows]) + "\n")


def caltech_row(first: str, second: str, polygons: Sequence[np.ndarray]) -> str:
    """A row of the list, of two <category>/<picture> and their polygons as they stand in it."""
    cells = [f'"{",".join(f"{n:.6g}" for n in axis)}"' for xy in polygons for axis in xy.T]
    names = [f"101_ObjectCategories/{name}.jpg" for name in (first, second)]
    return ",".join([*names, "1", *cells])


def write_caltech_list(base: Path, rows: Sequence[str]) -> None:
    """The list of pairs."""
    path = base / "test_pairs_caltech_with_category.csv"
    path.write_text("\n".join(["source_image,target_image,class,XA,YA,XB,YB", *rows]) + "\n")


def write_caltech_mat(base: Path, folder: str, number: int, xy: np.ndarray) -> Path:
    """The .mat file of a picture whose object has the 0-based polygon `xy`; returns its path."""
    low, high = np.floor(xy.min(axis=0)) + 1, np.ceil(xy.max(axis=0)) + 1  # 1-based pixels
    path = base / f"Annotations/{folder}/annotation_{number:04d}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    box = np.array([[low[1], high[1], low[0], high[0]]], np.uint16)
    savemat(path, {"obj_contour": (xy + 1 - low).T, "box_coord": box})
    return path


def caltech_root(root: Path) -> Path:
    """A release with two pictures of airplanes and two of emus, and three pairs."""
    airplanes = ("airplanes/image_0001", "airplanes/image_0002")
    emus = ("emu/image_0001", "emu/image_0002")
    polygons = {airplanes[0]: TRIANGLE, airplanes[1]: SQUARE, emus[0]: SQUARE + 5.25,
                emus[1]: TRIANGLE[::-1]}  # fmt: skip
    for name, xy in polygons.items():
        picture(root / f"101_ObjectCategories/{name}.jpg")
        folder = "Airplanes_Side_2" if name in airplanes else "emu"
        write_caltech_mat(root, folder, int(name[-4:]), xy)
    pairs = [airplanes, emus, emus[::-1]]
    write_caltech_list(root, [caltech_row(a, b, (polygons[a], polygons[b])) for a, b in pairs])
    return root
