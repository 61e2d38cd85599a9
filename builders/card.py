"""The data card beside a build: Markdown for people, Croissant JSON-LD for machines."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jladkit.builders.about import About
from jladkit.builders.croissant import croissant
from jladkit.formats.dataset import SPLITS, open_dataset
from jladkit.formats.describe import (
    AZIMUTH_STEP,
    DIFFERENCE_STEP,
    ELEVATION_STEP,
    describe,
)
from jladkit.formats.files import write_text

BAR = 40  # characters of a histogram's longest bar


def write_cards(dataset: Path, about: About) -> tuple[Path, Path]:
    """Write the two cards beside a finished dataset.h5; returns their paths.

    They say nothing of the day or the machine: the same file gives the same cards.

    Args:
        dataset: the file, say cars.h5, which gets cars.card.md and cars.croissant.json.
        about: the source's facts.
    """
    told = describe(open_dataset(dataset))
    for_people, for_machines = (dataset.with_suffix(end) for end in (".card.md", ".croissant.json"))
    write_text(for_people, card(told, about, dataset.name))
    record = croissant(told, about, dataset)
    write_text(
        for_machines, json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )
    return for_people, for_machines


def card(told: Mapping[str, Any], about: About, file: str) -> str:
    """The Markdown card.

    Args:
        told: what `describe` says of the data set.
        about: the source's facts.
        file: the data set's file name.
    """
    sections = {
        "Source": source_lines(told, about),
        "Objects and pairs": count_lines(told),
        "Left out": left_out_lines(told["source"]),
        "Leakage between splits": leakage_lines(told["source"]),
        "Keypoints": keypoint_lines(told["keypoints"]),
        "Viewpoints": viewpoint_lines(told["viewpoints"]),
        "Pictures": picture_lines(told["stored_pictures"]),
        "Recipe": recipe_lines(told["recipe"], file),
    }
    lines = [f"# {told['name']}", "", f"`{file}`, contents `{told['digest']}`"]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def source_lines(told: Mapping[str, Any], about: About) -> list[str]:
    """Where the data come from, and the terms."""
    source = told["source"]
    lines = [
        f"- {about.title}: {about.url}",
        f"- Licence: {about.licence}",
        f"- Cite: {about.citation}",
        f"- {source['files']} input files, digest over them `{source['digest']}`",
    ]
    lines += [
        f"- part of it: {part['name']}, {part['objects']} objects and {part['pairs']} pairs, contents "
        f"`{part['digest']}`"
        for part in source.get("parts", [])
    ]
    known = {"digest", "files", "objects", "left_out", "leakage", "parts"}
    return lines + [f"- {k.replace('_', ' ')}: {v}" for k, v in source.items() if k not in known]


def count_lines(told: Mapping[str, Any]) -> list[str]:
    """A table of categories by split."""
    head = ["category", *(f"{what} {split}" for what in ("objects", "pairs") for split in SPLITS)]
    rows = [
        [name, *told["objects"][name].values(), *told["pairs"][name].values()]
        for name in told["objects"]
    ]
    total = ["**all**", *(sum(row[column] for row in rows) for column in range(1, len(head)))]
    return table(head, [*rows, total])


def left_out_lines(source: Mapping[str, Any]) -> list[str]:
    """What was left out, and why."""
    if not source["left_out"]:
        return ["Nothing."]
    return table(["count", "reason"], [[n, reason] for reason, n in source["left_out"].items()])


def leakage_lines(source: Mapping[str, Any]) -> list[str]:
    """What two splits share."""
    if not source["leakage"]:
        return ["No two splits have pairs."]
    rows = [
        [two, shared["images"], shared["pairs"], f"{shared['pairs_with_seen_image']:.1%}"]
        for two, shared in source["leakage"].items()
    ]
    return table(
        ["splits", "source pictures in both", "pairs in both", "pairs of the latter that show one"],
        rows,
    )


def keypoint_lines(keypoints: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The names, in their order, with the number of objects that each is visible in."""
    if not any(keypoints.values()):
        return ["None."]
    rows = [[category, ", ".join(f"{name} {count}" for name, count in names.items()) or "none"]
            for category, names in keypoints.items()]  # fmt: skip
    return table(["category", "keypoints, and in how many objects each is visible"], rows)


def viewpoint_lines(views: Mapping[str, Any]) -> list[str]:
    """Histograms, as text."""
    if not views["known"]:
        return ["Not known."]
    low = views["elevation_from"]
    lines = [f"Known of {views['known']} objects.", ""]
    lines += histogram("azimuth", 0, AZIMUTH_STEP, views[f"azimuth_by_{AZIMUTH_STEP}_degrees"])
    lines += histogram(
        "elevation", low, ELEVATION_STEP, views[f"elevation_by_{ELEVATION_STEP}_degrees"]
    )
    for angle in ("azimuth", "elevation"):
        counts = views[f"pair_{angle}_difference_by_{DIFFERENCE_STEP}_degrees"]
        lines += histogram(f"difference of {angle} in a pair", 0, DIFFERENCE_STEP, counts)
    return lines[:-1]


def histogram(title: str, start: int, step: int, counts: Sequence[int]) -> list[str]:
    """A block of bars; nothing where nothing was counted."""
    if not any(counts):
        return []
    most = max(counts)
    rows = [
        f"{start + i * step:>5} to {start + (i + 1) * step:<5}{count:>7} {'#' * round(BAR * count / most)}"
        for i, count in enumerate(counts)
    ]
    return ["```", f"{title}, degrees", *(row.rstrip() for row in rows), "```", ""]


def picture_lines(pictures: Mapping[str, Any]) -> list[str]:
    """Sizes."""
    side = pictures["longer_side"]
    sides = f"{side['least']:.0f} to {side['most']:.0f} px, {side['mean']:.0f} on average"
    return [f"{pictures['megabytes']:.1f} MB; longer side {sides}."]


def recipe_lines(recipe: Mapping[str, Any], file: str) -> list[str]:
    """How to build it again, and every option."""
    builder = recipe["builder"]
    roots = "PASCAL3D CELEBA" if builder == "jlad" else "ROOT"
    again = f"{roots} --out again.h5 --recipe-from {file}"
    if builder == "join":
        again = join_words(recipe)
    return [
        f"    jladkit build-dataset {builder} {again}",
        "",
        "```json",
        json.dumps(recipe, indent=2, ensure_ascii=False),
        "```",
    ]


def join_words(recipe: Mapping[str, Any]) -> str:
    """What `jladkit build-dataset join` was given, each file called by its data set's name."""
    options = recipe["options"]
    words = [f"{part['name']}.h5" for part in recipe["inputs"]]
    words += ["--out", "again.h5", "--name", options["name"]]
    words += [f"--{flag.replace('_', '-')}" for flag, given in options.items() if given is True]
    return shlex.join(words)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table; numbers are set to the right."""
    numeric = [
        bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(head))
    ]
    lines = [head, ["---:" if right else "---" for right in numeric], *rows]
    return [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    ]
