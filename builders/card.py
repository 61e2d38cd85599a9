"""The data card beside a build: Markdown for people, Croissant JSON-LD for machines."""

from pathlib import Path

from jladkit.builders.about import About


def write_cards(dataset: Path, about: About) -> tuple[Path, Path]:
    """Write the two cards beside a finished dataset.h5; returns their paths.

    Args:
        dataset: the file, say cars.h5, which gets cars.card.md and cars.croissant.json.
        about: the source's facts.
    """
    return dataset.with_suffix(".card.md"), dataset.with_suffix(".croissant.json")
