"""jladkit predict"""

from pathlib import Path

import click

from jladkit.cli import offers
from jladkit.formats.dataset import SPLITS, open_dataset
from jladkit.formats.files import check_output
from jladkit.formats.prediction_shards import WHOLE, parse_shard
from jladkit.formats.predictions import write_predictions


@click.command("predict")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A dataset.h5.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@click.option(
    "--method",
    shell_complete=offers.methods,
    help="Name of a method that needs no training, or module:Class.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="What `jladkit train` left; with --method, weights that the method's authors released.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override a setting of --method, say model.size=448. May be repeated.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The predictions.h5 to write."
)
@click.option(
    "--dense",
    type=click.IntRange(2, 1024),
    metavar="CELLS",
    help="Store the dense fields too, from source to target and back, for CELLS x CELLS cells of "
    "each picture: what --metric flow and transfer score.",
)
@click.option(
    "--fit-objects",
    type=click.IntRange(min=1),
    metavar="N",
    help="Find landmarks in N objects of train at most, drawn with seed 0, for IOD to regress on.  "
    "[default: in all]",
)
@click.option(
    "--shard",
    metavar="NUMBER/COUNT",
    help="Do only this part of the work, from 0/4 to 3/4 say; jladkit merge-predictions puts the "
    "files of all together.",
)
@click.option("--overwrite", is_flag=True, help="Replace --out if it exists.")
@click.option("--device", default="cpu", show_default=True, help="Torch device.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(
    data: Path,
    split: str,
    method: str | None,
    checkpoint: Path | None,
    settings: tuple[str, ...],
    out: Path,
    dense: int | None,
    fit_objects: int | None,
    shard: str | None,
    overwrite: bool,
    device: str,
    quiet: bool,
) -> None:
    """Run a method over a split and store everything it says, for scores and pictures later."""
    from jladkit.training.prediction import CELLS, FLOWS, PARTS, predict

    part = WHOLE if shard is None else parse_shard(shard)
    check_output(out, overwrite=overwrite)
    dataset = open_dataset(data)
    found = predict(
        dataset,
        split,
        method=method,
        checkpoint=checkpoint,
        device=device,
        progress=not quiet,
        wanted=PARTS if dense is None else (*PARTS, *FLOWS),
        cells=dense or CELLS,
        fit_objects=fit_objects,
        settings=settings,
        shard=part,
    )
    write_predictions(out, found, overwrite=overwrite)
    click.echo(f"Wrote {out}", err=True)
