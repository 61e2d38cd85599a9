"""jladkit train"""

from pathlib import Path

import click

from jladkit import registry
from jladkit.cli import offers
from jladkit.errors import UsageError
from jladkit.formats.dataset import open_dataset
from jladkit.formats.files import check_folder


@click.command("train")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A dataset.h5.")
@click.option(
    "--method",
    required=True,
    shell_complete=offers.trained_methods,
    help="Name of a method, or module:Class.",
)
@click.option(
    "--recipe",
    shell_complete=offers.recipes,
    default="cpu",
    show_default=True,
    help="Name of a recipe of the method (cpu, paper), or a .toml file.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the run, made anew."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override one setting of the recipe, say train.seed=1. May be repeated.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder for what is computed once, such as the maps of a frozen backbone.",
)
@click.option("--device", default="cpu", show_default=True, help="Torch device.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(
    data: Path,
    method: str,
    recipe: str,
    out: Path,
    settings: tuple[str, ...],
    resume: bool,
    cache: Path | None,
    device: str,
    quiet: bool,
) -> None:
    """Train a method on a data set's train pairs; keep the weights that are best on its val pairs.

    The folder gets model.safetensors (best weights, for predict and evaluate), state.safetensors
    (for --resume) and log.jsonl (one line a step).

    Started by torchrun, N processes share each batch of the joint method and take the steps that
    one would; `train.batch` is that of all together. Give --cache, so that maps are kept once.
    """
    check_folder(out)
    dataset = open_dataset(data)
    cls = registry.load("method", method)
    if not hasattr(cls, "train"):
        raise UsageError(f"The method {method} is not one to train; `evaluate` takes it by name.")
    from jladkit.training import ranks
    from jladkit.training.prediction import device_named

    with ranks.joined(device) as own:
        best = cls.train(
            dataset,
            recipe,
            settings,
            out,
            device=device_named(own),
            resume=resume,
            cache=cache,
            progress=not quiet and ranks.first(),
        )
        if ranks.first():
            click.echo(f"Best weights: {best}", err=True)
