"""jladkit match and jladkit detect: methods on photographs of one's own."""

import csv
import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from jladkit import registry
from jladkit.cli import offers
from jladkit.cli.several import several
from jladkit.cli.text import grid
from jladkit.errors import UsageError
from jladkit.formats.files import make_folder, to_json, write_text, written_aside

PRINTED = 12  # points at most
SPREAD = 6  # rows and columns of points where none are given
METHOD = click.option(
    "--method", shell_complete=offers.methods,
    help="A method that needs no training: its name, or module:Class.",
)  # fmt: skip
CHECKPOINT = click.option(
    "--checkpoint", type=click.Path(path_type=Path),
    help="What `jladkit train` left; with --method, weights that the method's authors released.",
)  # fmt: skip


@click.command("match", cls=several("--points"))
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--points", multiple=True, metavar="X,Y ...",
    help="Points of SOURCE, in its pixels.  [default: 36 spread over it]",
)  # fmt: skip
@CHECKPOINT
@METHOD
@click.option("--category", default="", help="What both show, for methods that ask.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for match.png, match.json.",
)
@click.option("--device", default="cpu", show_default=True, help="Torch device.")
def match_command(
    source: Path,
    target: Path,
    points: tuple[str, ...],
    checkpoint: Path | None,
    method: str | None,
    category: str,
    out: Path,
    device: str,
) -> None:
    """Where the points of one photograph lie in another of the same category.

    match.png has both pictures with the points, the target warped onto the source, and where the
    method is unsure, if it says. match.json has the numbers: xy in pixels of each photograph, (0, 0)
    being the centre of its top left pixel. Up to twelve points are printed too.

    \b
    jladkit match cat1.jpg cat2.jpg --points 120,80 60,75 --checkpoint runs/animals --out matched
    jladkit match cat1.jpg cat2.jpg --method nearest --out matched
    """
    from jladkit.training.own import match, open_picture

    pictures = open_picture(source), open_picture(target)
    asked = spread(*pictures[0].size)
    if points:
        asked = parse_points(points)
        check_inside(asked, source, pictures[0].size)
    instance, where = loaded(method, checkpoint, device)
    found = match(instance, *pictures, asked, category, where)
    draw = registry.load("metric", "jladkit.reports.own:match_figure")
    figure = draw(*pictures, found, (source.name, target.name))
    make_folder(out)
    with written_aside(out / "match.png") as aside:
        figure.savefig(aside, format="png", dpi=150)
    rows = [
        {"source": at, "target": to, "log_sigma": unsure}
        for at, to, unsure in zip(
            found.points.tolist(),
            found.moved.tolist(),
            [None] * len(asked) if found.log_sigma is None else found.log_sigma.tolist(),
            strict=True,
        )
    ]
    said = {"method": instance.name, "source": source.name, "target": target.name, "points": rows}
    write_text(out / "match.json", to_json(said) + "\n")
    click.echo(f"Wrote {out / 'match.png'} and {out / 'match.json'}.", err=True)
    if len(rows) <= PRINTED:
        click.echo("\n".join(as_table(rows)))


@click.command("detect")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@CHECKPOINT
@METHOD
@click.option("--category", default="", help="What the pictures show, for methods that ask.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="Folder for landmarks.png, landmarks.csv.",
)  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Torch device.")
def detect_command(
    images: tuple[Path, ...],
    checkpoint: Path | None,
    method: str | None,
    category: str,
    out: Path,
    device: str,
) -> None:
    """The landmarks of photographs, one colour a landmark in all of them.

    landmarks.csv has the columns image, landmark, x, y, in pixels of each photograph.

    \b
    jladkit detect cat1.jpg cat2.jpg --category cat --checkpoint runs/animals --out detected
    """
    from jladkit.training.own import detect, open_picture

    pictures = [open_picture(path) for path in images]
    instance, where = loaded(method, checkpoint, device)
    found = detect(instance, pictures, category, where)
    draw = registry.load("metric", "jladkit.reports.own:landmark_figure")
    figure = draw(pictures, found, [path.name for path in images])
    make_folder(out)
    with written_aside(out / "landmarks.png") as aside:
        figure.savefig(aside, format="png", dpi=150)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["image", "landmark", "x", "y"])
    for path, points in zip(images, found, strict=True):
        for number, (x, y) in enumerate(points.tolist()):
            writer.writerow([str(path), number, f"{x:.2f}", f"{y:.2f}"])
    write_text(out / "landmarks.csv", table.getvalue())
    click.echo(f"Wrote {out / 'landmarks.png'} and {out / 'landmarks.csv'}.", err=True)


def loaded(method: str | None, checkpoint: Path | None, device: str) -> tuple[Any, Any]:
    """The method, which here has no data set to be prepared on, and the torch device.

    Raises:
        UsageError: it needs one.
    """
    from jladkit.training.prediction import device_named, load_method

    where = device_named(device)
    return load_method(None, method, checkpoint, where), where


def parse_points(words: tuple[str, ...]) -> np.ndarray:
    """(N, 2) of "x,y".

    Raises:
        UsageError: one has another form.
    """
    rows: list[list[float]] = []
    for word in words:
        try:
            x, y = (float(part) for part in word.split(","))
        except ValueError as error:
            raise UsageError(f"--points must be X,Y, such as 120,80, not {word!r}.") from error
        rows.append([x, y])
    points = np.array(rows)
    if not np.isfinite(points).all():
        raise UsageError("--points must be finite numbers.")
    return points


def check_inside(points: np.ndarray, path: Path, size: tuple[int, int]) -> None:
    """Raise UsageError unless all points (N, 2) lie in a picture of this width and height."""
    outside = ((points < -0.5) | (points > np.array(size) - 0.5)).any(axis=1)
    if outside.any():
        x, y = points[outside][0].tolist()
        raise UsageError(
            f"--points {x:g},{y:g} lies outside {path}, which is {size[0]} x {size[1]} pixels."
        )


def as_table(rows: list[dict[str, Any]]) -> list[str]:
    """Points as a person reads them."""
    told = any(row["log_sigma"] is not None for row in rows)
    head = ["point", "source x,y", "target x,y", *(["log sigma"] if told else [])]
    cells = [
        [str(number), *(",".join(f"{v:.1f}" for v in row[end]) for end in ("source", "target")),
         *([f"{row['log_sigma']:.2f}"] if told else [])]
        for number, row in enumerate(rows)
    ]  # fmt: skip
    return grid(head, cells)


def spread(width: int, height: int) -> np.ndarray:
    """(SPREAD², 2) points spread evenly over a picture."""
    along = (np.arange(SPREAD) + 0.5) / SPREAD
    x, y = np.meshgrid(along * width - 0.5, along * height - 0.5)
    return np.stack([x.ravel(), y.ravel()], axis=1)
