"""`jladkit build-dataset`: one command a source, kept beside the code that reads the source."""

import click

from jladkit import registry
from jladkit.cli import LazyGroup

SUMMARIES = {
    "caltech101": "Caltech-101 with CNNGeo's pairs, polygons and masks.",
    "celeba": "CelebA's aligned faces, without MAFL's test faces.",
    "coco": "Any COCO-keypoints JSON with its pictures.",
    "folder": "Any folder of pictures, without annotations.",
    "jlad": "The paper's data set: PASCAL3D+ and MAFL in one file.",
    "join": "Several dataset.h5 in one.",
    "mafl": "MAFL: CelebA's faces that landmarks are scored on.",
    "mtfl": "MTFL's faces, with those of AFLW that are its test list.",
    "pascal3d": "PASCAL3D+, or data in its layout.",
    "pf-pascal": "PF-PASCAL with the official train, val and test pairs.",
    "pf-willow": "PF-WILLOW: every two pictures of a folder, or CNNGeo's list.",
    "spair": "SPair-71k with the official pairs, large or small.",
    "synthetic": "Drawn objects and faces, no download.",
    "tss": "TSS: pairs both ways with dense flow and masks.",
    "voc": "PASCAL VOC's pictures, without annotations.",
}


@click.command(
    cls=LazyGroup,
    table=lambda: registry.names("source"),
    summaries=SUMMARIES,
)
def command() -> None:
    """Turn a source's pictures and annotations into a dataset.h5.

    The same input, options and seed give a byte-identical file, on any number of workers. What
    each source takes: jladkit build-dataset SOURCE --help.
    """
