"""jladkit carry"""

from pathlib import Path

import click

from jladkit import registry
from jladkit.formats.dataset import SPLITS, open_dataset
from jladkit.formats.files import check_output
from jladkit.formats.outside import read_predictions
from jladkit.formats.predictions import check_belongs, write_predictions


@click.command("carry")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A dataset.h5.")
@click.option(
    "--predictions", required=True, type=click.Path(path_type=Path),
    help="Landmarks of the split's objects, as `predict` stores them or as others do.",
)  # fmt: skip
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The predictions.h5 to write."
)
@click.option("--overwrite", is_flag=True, help="Replace --out if it exists.")
def command(data: Path, predictions: Path, split: str, out: Path, overwrite: bool) -> None:
    """Carry keypoints from picture to picture by the landmarks in them.

    For each pair, a smoothed thin-plate spline through the landmarks of both pictures. The PCK of
    that says what landmarks know of alignment, of any method that finds some; where it is below the
    field's of the joint method, its landmarks have nothing to teach the field.

    \b
    jladkit predict --data faces.h5 --checkpoint run/ --out joint.h5
    jladkit carry --data faces.h5 --predictions joint.h5 --out by-landmarks.h5
    jladkit evaluate --data faces.h5 --predictions by-landmarks.h5
    """
    check_output(out, overwrite=overwrite)
    known = open_dataset(data)
    said = read_predictions(predictions, known, split)
    check_belongs(predictions, said, known, split)
    carry = registry.load("metric", "jladkit.evaluators.by_landmarks:carried_by_landmarks")
    found = carry(known, said)
    write_predictions(out, found, overwrite=overwrite)
    click.echo(f"Wrote {out}", err=True)
