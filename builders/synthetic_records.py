"""Drawn pictures as files in PASCAL3D+'s layout: a .mat record and a .JPEG each, lists of names."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from jladkit.builders.synthetic_render import VIEWPORT
from jladkit.builders.synthetic_scene import KINDS, Picture, draw_picture

# PASCAL3D+'s anchors, all of which a record lists, with status 5 what an object does not have.
ANCHORS = {
    "aeroplane": "left_elevator left_wing noselanding right_elevator right_wing rudder_lower "
    "rudder_upper tail",
    "bicycle": "head_center left_back_wheel left_front_wheel left_handle left_pedal_center "
    "right_back_wheel right_front_wheel right_handle right_pedal_center seat_back seat_front",
    "boat": "head head_down head_left head_right tail_left tail_right tail",
    "bottle": "mouth body body_left body_right bottom bottom_left bottom_right",
    "bus": "body_back_left_lower body_back_left_upper body_back_right_lower "
    "body_back_right_upper body_front_left_lower body_front_left_upper body_front_right_lower "
    "body_front_right_upper left_back_wheel left_front_wheel right_back_wheel right_front_wheel",
    "car": "left_front_wheel left_back_wheel right_front_wheel right_back_wheel "
    "upper_left_windshield upper_right_windshield upper_left_rearwindow upper_right_rearwindow "
    "left_front_light right_front_light left_back_trunk right_back_trunk",
    "chair": "back_upper_left back_upper_right seat_upper_left seat_upper_right seat_lower_left "
    "seat_lower_right leg_upper_left leg_upper_right leg_lower_left leg_lower_right",
    "diningtable": "leg_upper_left leg_upper_right leg_lower_left leg_lower_right top_upper_left "
    "top_upper_right top_lower_left top_lower_right top_up top_down top_left top_right",
    "motorbike": "back_seat front_seat head_center headlight_center left_back_wheel "
    "left_front_wheel left_handle_center right_back_wheel right_front_wheel right_handle_center",
    "sofa": "front_bottom_left front_bottom_right seat_bottom_left seat_bottom_right "
    "left_bottom_back right_bottom_back top_left_corner top_right_corner seat_top_left "
    "seat_top_right",
    "train": "head_left_bottom head_left_top head_right_bottom head_right_top head_top "
    "mid1_left_bottom mid1_left_top mid1_right_bottom mid1_right_top mid2_left_bottom "
    "mid2_left_top mid2_right_bottom mid2_right_top tail_left_bottom tail_left_top "
    "tail_right_bottom tail_right_top",
    "tvmonitor": "front_bottom_left front_bottom_right front_top_left front_top_right "
    "back_bottom_left back_bottom_right back_top_left back_top_right",
}

NO_PART = 5
HEADER = b"MATLAB 5.0 MAT-file, drawn by jladkit"
HEADER_BYTES = 116


def draw_object(folder: Path, category: str, index: int, seed: int, size: int) -> None:
    """Draw picture `index` of `category`, and write it and its record below `folder`.

    It depends on nothing but (category, index, seed, size): neither on how many are drawn, nor on
    the other categories, nor on who draws them.
    """
    stream = np.random.SeedSequence([seed, list(KINDS).index(category), index])
    picture = draw_picture(category, np.random.default_rng(stream), size)
    stem = stem_of(index)
    target = folder / "Images" / f"{category}_imagenet" / f"{stem}.JPEG"
    Image.fromarray(picture.pixels).save(target, format="JPEG", quality=90)
    record = folder / "Annotations" / f"{category}_imagenet" / f"{stem}.mat"
    record.write_bytes(mat_bytes(record_of(picture, category, f"{stem}.JPEG")))


def stem_of(index: int) -> str:
    """File name of a picture, without its ending."""
    return f"drawn_{index:06d}"


def write_lists(folder: Path, category: str, count: int) -> None:
    """Write Image_sets/: every fifth picture is in val, the others are in train."""
    for name, wanted in (("train", False), ("val", True)):
        stems = [stem_of(i) for i in range(count) if (i % 5 == 4) == wanted]
        text = "".join(f"{stem}\n" for stem in stems)
        (folder / "Image_sets" / f"{category}_imagenet_{name}.txt").write_text(text)


def record_of(picture: Picture, category: str, filename: str) -> dict[str, Any]:
    """The fields of a PASCAL3D+ record.

    Coordinates 1-based, the box naming its first and last pixel, angles in degrees. Only visible
    anchors have a location.
    """
    height, width = picture.pixels.shape[:2]
    view = picture.view
    found = {
        name: (location, int(status))
        for name, location, status in zip(
            picture.shape.anchors, picture.locations, picture.statuses, strict=True
        )
    }
    anchors = {}
    for name in ANCHORS[category].split():
        location, status = found.get(name, (np.zeros(2), NO_PART))
        stored = np.round(location + 1, 3) if status == 1 else np.zeros((0, 0))
        anchors[name] = {"location": stored, "status": float(status)}
    viewpoint = {
        "azimuth_coarse": round(view.azimuth / 45) * 45.0 % 360,
        "elevation_coarse": round(view.elevation / 30) * 30.0,
        "azimuth": view.azimuth,
        "elevation": view.elevation,
        "distance": view.distance,
        "focal": 1.0,
        "px": view.px + 1,
        "py": view.py + 1,
        "theta": view.theta,
        "error": 0.0,
        "interval_azimuth": 5.0,
        "interval_elevation": 5.0,
        "num_anchor": float((picture.statuses == 1).sum()),
        "viewport": VIEWPORT,
    }
    thing = {
        "class": category,
        "view": "",
        "truncated": np.uint8(picture.truncated),
        "occluded": np.uint8(0),
        "difficult": np.uint8(0),
        "bbox": np.array(picture.box, dtype=float) + 1,
        "cad_index": float(picture.shape.style + 1),
        "anchors": anchors,
        "viewpoint": viewpoint,
    }
    return {
        "filename": filename,
        "database": "jladkit drawn objects",
        "imgsize": np.array([width, height, 3], dtype=float),
        "size": {"width": float(width), "height": float(height), "depth": 3.0},
        "segmented": np.uint8(0),
        "objects": thing,
    }


def mat_bytes(record: dict[str, Any]) -> bytes:
    """A .mat file with the struct `record`, the same for the same contents at any time."""
    buffer = io.BytesIO()
    savemat(buffer, {"record": record}, do_compression=True, oned_as="row")
    raw = buffer.getvalue()
    # The first 116 bytes are free text, in which scipy names the machine and the time.
    return HEADER.ljust(HEADER_BYTES) + raw[HEADER_BYTES:]


def make_folders(folder: Path, categories: Sequence[str]) -> None:
    """The empty folders of the layout."""
    (folder / "Image_sets").mkdir(parents=True)
    for category in categories:
        for part in ("Annotations", "Images"):
            (folder / part / f"{category}_imagenet").mkdir(parents=True)
