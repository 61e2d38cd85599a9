"""jladkit submit: a result becomes an entry of a leaderboard, which is a folder of small files."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jladkit.cli.evaluate import slug
from jladkit.errors import JladkitError
from jladkit.formats.files import check_folder
from jladkit.formats.result import Result, read_record, read_result, write_result

DIGEST = re.compile(r"[0-9a-f]{64}")
DROPPED = "keypoint"  # the stratum that makes four fifths of a result


@click.command("submit")
@click.argument("result", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--to", "board", required=True, type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER", help="The leaderboard; made where there is none.",
)  # fmt: skip
def command(result: Path, board: Path) -> None:
    """Add a result.json to a folder that is a leaderboard.

    The result is checked field by field. Refused are those that nobody could verify, since they do
    not say which predictions on which data they score, and those that the folder has already. An
    entry is one small file, the result without its tables of items and of single keypoints; its name
    comes from its contents, so that entries of many people never collide. `jladkit report FOLDER`
    makes the page.

    \b
    jladkit submit results/birds/joint/pck-jlad-test.json --to leaderboard/
    """
    found = read_result(result)
    check_verifiable(result, found)
    check_folder(board)
    for path, other in entries_of(board):
        if what_it_scores(other) == what_it_scores(found):
            raise JladkitError(
                f"{result} is in {board} already: {path.name}, of {other.method}, scores the same "
                "predictions by the same protocol."
            )
    path = board / name_of(found)
    if path.exists():
        raise JladkitError(
            f"{path} is there, and scores the same predictions by another protocol of the same name "
            "and version. Give one of them another name."
        )
    write_result(path, entry_of(found))
    click.echo(f"Wrote {path}", err=True)
    click.echo(path)


def check_verifiable(path: Path, result: Result) -> None:
    """Raise JladkitError unless a result says what it was scored on, and has a score."""
    for key, what in (("predictions_digest", "predictions"), ("dataset_digest", "data")):
        if not DIGEST.fullmatch(getattr(result, key)):
            raise JladkitError(
                f"{path} cannot be verified: {key} must be the SHA-256 of the {what}, but is "
                f"{getattr(result, key)!r}. Score the predictions again: jladkit evaluate "
                "--predictions FILE --out DIR"
            )
    if all(row["value"] is None for row in result.results):
        raise JladkitError(f"{path} has no score: nothing of the {result.split} split was scored.")


def entries_of(board: Path) -> list[tuple[Path, Result]]:
    """The results that lie in a folder.

    Raises:
        JladkitError: one of them is broken.
    """
    files = sorted(board.rglob("*.json")) if board.is_dir() else []
    return [(path, read_result(path)) for path in files if read_record(path) is not None]


def what_it_scores(result: Result) -> tuple[Any, ...]:
    """What two results have in common when one of them is superfluous."""
    return (
        result.metric, result.protocol, result.split, result.dataset_digest,
        result.predictions_digest,
    )  # fmt: skip


def entry_of(result: Result) -> Result:
    """A result without what makes it large."""
    return replace(result, items=None, results=[without_keypoints(row) for row in result.results])


def without_keypoints(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what it says of single keypoints: a stratum of PCK, a record of IOD."""
    found = dict(row)
    if "strata" in row:
        found["strata"] = {k: v for k, v in row["strata"].items() if k != DROPPED}
    found["categories"] = {
        name: {**own, "keypoints": {}} if "keypoints" in own else own
        for name, own in row["categories"].items()
    }
    return found


def name_of(result: Result) -> str:
    """What an entry is called: what is compared, the method, and the start of the digest of its
    predictions."""
    parts = (
        result.metric, f"{result.protocol['name']}{result.protocol['version']}", result.dataset,
        result.split, result.dataset_digest[:6], result.method, result.predictions_digest[:12],
    )  # fmt: skip
    return "-".join(slug(part) for part in parts) + ".json"
