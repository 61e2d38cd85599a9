"""jladkit merge-predictions"""

from pathlib import Path

import click

from jladkit.formats.files import check_output
from jladkit.formats.prediction_shards import merged
from jladkit.formats.predictions import open_predictions, write_predictions


@click.command("merge-predictions")
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The predictions.h5 to write."
)
@click.option("--overwrite", is_flag=True, help="Replace --out if it exists.")
def command(shards: tuple[Path, ...], out: Path, overwrite: bool) -> None:
    """Put the files of `jladkit predict --shard` together, in any order: all of them, each once.

    What is predicted is, bit for bit, what one process would have stored.
    """
    check_output(out, overwrite=overwrite)
    found = merged(shards, [open_predictions(path) for path in shards])
    write_predictions(out, found, overwrite=overwrite)
    click.echo(f"Wrote {out}", err=True)
