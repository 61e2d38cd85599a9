"""What every source's command asks for: the job (where, how fast) and the recipe's options."""

import functools
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import click

from jladkit.builders.crops import ENCODINGS, PADDINGS, QUALITY, SHAPES
from jladkit.builders.objects import CropStyle
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import open_dataset

DRAWS = ("uniform", "balanced")


@dataclass(frozen=True, kw_only=True)
class Job:
    """How a build runs. Nothing in here enters the file's contents."""

    out: Path
    workers: int = 1
    overwrite: bool = False
    strict: bool = False
    allow_missing: bool = False
    scheduler: str | None = None
    virtual: bool = False
    recipe_from: Path | None = None

    @property
    def parts(self) -> Path:
        """The folder of what was read so far."""
        return self.out.with_name(f".{self.out.name}.parts")

    @property
    def shards(self) -> Path:
        """The folder beside the output that a virtual data set takes its pictures from."""
        return self.out.with_suffix(".shards")


def check_split(split: Sequence[int]) -> None:
    """Raise UsageError unless `split` is three shares, not all 0."""
    if min(split) < 0 or sum(split) == 0:
        raise UsageError(f"--split must be three shares of 0 or more, but is {tuple(split)}.")


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """What every builder shares that chooses its own pairs."""

    name: str
    seed: int = 0
    min_common: int = 3
    min_difference: float = 0.0
    pairs: int = 1000  # JLAD has about 1,000 a category
    draw: str = "uniform"
    max_uses: int | None = None
    split: tuple[int, int, int] = (70, 20, 10)
    split_by: str = "image"

    def __post_init__(self) -> None:
        check_split(self.split)
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"--{name.replace('_', '-')} must be a number, but is {value}.")

    @property
    def least_common(self) -> int:
        """How many visible keypoints a pair must share."""
        return self.min_common


@dataclass(frozen=True, kw_only=True)
class CropOptions(PairOptions):
    """What every builder shares that also crops objects by their boxes."""

    category: tuple[str, ...] = ()
    margin: float = 0.1  # enough context for the backbone's border cells; boxes are often tight
    size: int = 256
    shape: str = "square"
    padding: str = "edge"
    encoding: str = "jpeg"
    quality: int = QUALITY
    min_side: float = 32.0  # smaller ones would be enlarged eightfold to a network's 256 px
    min_keypoints: int = 3

    @property
    def least_common(self) -> int:
        """How many visible keypoints a pair must share; never more than an object must have."""
        return min(self.min_common, self.min_keypoints)

    @property
    def style(self) -> CropStyle:
        """How objects are cut out and stored."""
        return CropStyle(
            margin=self.margin, size=self.size, shape=self.shape, padding=self.padding,
            min_side=self.min_side, encoding=self.encoding, quality=self.quality,
        )  # fmt: skip


def default(options: type, name: str) -> Any:
    """The default of a field of an options class, for its command-line option."""
    value = next(f.default for f in fields(options) if f.name == name)
    return None if value is MISSING else value


def job_options(
    source: str, roots: Sequence[str] = ("root",)
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """ROOT and the options that every source's command has.

    The command is called with `root` (or the names in `roots`), `name`, `seed` and a `job`.

    Args:
        source: the source's name.
        roots: names of the folders that the command takes.
    """

    def use_recipe(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
        if value is not None:
            told = recipe_options(value, source)
            check_options(value, told, ctx)
            ctx.default_map = {**(ctx.default_map or {}), **told}
        return value

    def as_job(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**values: Any) -> Any:
            job = Job(**{f.name: values.pop(f.name) for f in fields(Job)})
            return function(job=job, **values)

        return command

    decorators = [
        *(click.argument(root, type=click.Path(path_type=Path)) for root in roots),
        click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
                     help="The dataset.h5 to write."),
        click.option("--name", default=source, show_default=True,
                     help="What results call this data set."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Decides the split and the pairs."),
        click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1,
                     help="Processes that read and crop. Changes nothing in the file.  "
                     "[default: all cores]"),
        click.option("--recipe-from", type=click.Path(path_type=Path), metavar="FILE",
                     is_eager=True, callback=use_recipe,
                     help="Take the options of an existing dataset.h5 (those given here win), and "
                     "say which input files differ from those it was made from."),
        click.option("--overwrite", is_flag=True, help="Replace FILE if it exists."),
        click.option("--strict", is_flag=True,
                     help="Stop at the first broken record, and where a category has no pairs."),
        click.option("--allow-missing", is_flag=True,
                     help="Go on without the pictures that the annotations name and that are not "
                     "there."),
        click.option("--virtual", is_flag=True,
                     help="Leave the pictures in FILE's folder .shards and let FILE point there, "
                     "rather than copy them into it."),
        click.option("--scheduler", metavar="ADDRESS",
                     help="Read and crop on the workers of the Dask cluster there, such as "
                     "tcp://host:8786; all must see ROOT and FILE's folder under the same paths."),
        as_job,
    ]  # fmt: skip
    return stacked(decorators)


def option(options: type, flag: str, kind: Any, text: str, **more: Any) -> Any:
    """A command-line option behind a field of `options`, with the field's default."""
    start = default(options, flag.strip("-").replace("-", "_"))
    return click.option(flag, type=kind, default=start, show_default=True, help=text, **more)


def crop_options(options: type[CropOptions]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options behind CropOptions' own fields, with the defaults of `options`."""
    add = functools.partial(option, options)
    decorators = [
        click.option("--category", multiple=True, metavar="NAME",
                     help="Only this category; repeat for more.  [default: all]"),
        add("--margin", click.FloatRange(0, 5),
            "Added around the box on each side, as a share of its longer side."),
        add("--size", click.IntRange(16, 4096),
            "Longest side of a stored picture; larger crops are shrunk, none is enlarged."),
        add("--shape", click.Choice(SHAPES),
            "square: the box's longer side decides. squash: the box, made square. aspect: the box "
            "as it is."),
        add("--padding", click.Choice(PADDINGS),
            "What a crop shows beyond the picture's border."),
        add("--encoding", click.Choice(list(ENCODINGS)),
            "How pictures are stored; png and raw keep every bit."),
        add("--quality", click.IntRange(1, 100), "Of a stored JPEG."),
        add("--min-side", click.FloatRange(min=0),
            "Leave out objects whose box's longer side is below this many pixels."),
        add("--min-keypoints", click.IntRange(min=0),
            "Leave out objects with fewer visible keypoints. 0 keeps those without any."),
    ]  # fmt: skip
    return stacked(decorators)


def pair_options(
    options: type[PairOptions], official: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options behind PairOptions' fields (but name and seed), with the defaults of `options`.

    Args:
        options: the source's options.
        official: what `--split-by official` means, for a source that has it.
    """
    add = functools.partial(option, options)
    ways = ["image", "pair", *(["official"] if official else [])]
    decorators = [
        add("--min-common", click.IntRange(min=0),
            "Fewest keypoints visible in both objects of a pair; at most --min-keypoints."),
        add("--min-difference", click.FloatRange(min=0),
            "Leave out pairs whose viewpoints differ by less (degrees; the largest of their "
            "angles' differences), or their poses (shares of the box)."),
        add("--pairs", click.IntRange(min=1), "Most pairs to draw in each category."),
        add("--draw", click.Choice(DRAWS),
            "uniform: every eligible pair is as likely. balanced: small and large differences come "
            "equally often, as far as there are pairs."),
        click.option("--max-uses", type=click.IntRange(min=1), metavar="N",
                     help="Most pairs that one object may be in.  [default: any number]"),
        add("--split", click.IntRange(0, 10**9), "Shares of the pairs: train, val, test.", nargs=3),
        add("--split-by", click.Choice(ways),
            "image: no source picture in two splits. pair: as JLAD was split, which leaks."
            + (f" official: {official}" if official else "")),
    ]  # fmt: skip
    return stacked(decorators)


def stacked(decorators: Sequence[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """One decorator in place of several; --help lists them in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def recipe_options(path: Path, source: str) -> dict[str, Any]:
    """The options that an existing dataset.h5 was built with.

    Raises:
        UsageError: another builder made it.
        JladkitError: it is no dataset.h5, or one without options.
    """
    recipe = open_dataset(path).recipe
    options, builder = recipe.get("options"), recipe.get("builder")
    if not isinstance(options, dict) or any(isinstance(v, dict) for v in options.values()):
        raise JladkitError(
            f"{path} holds no recipe that can be followed. Give the options instead."
        )
    if builder != source:
        known = isinstance(builder, str) and re.fullmatch(r"[\w-]{1,40}", builder)
        way = f": jladkit build-dataset {builder} --recipe-from {path} ..." if known else "."
        raise UsageError(f"{path} was built with {builder!r:.40}{way}")
    # A file may say what is built, not where it is written, nor which machines are to build it.
    jobs = {f.name for f in fields(Job)}
    return {name: value for name, value in options.items() if name not in jobs}


def check_options(path: Path, options: Mapping[str, Any], ctx: click.Context) -> None:
    """Raise JladkitError where a command's option cannot have the value that a recipe has for it."""
    for param in ctx.command.params:
        if param.name in options and not can_be(param, options[param.name], ctx):
            raise JladkitError(
                f"{path} holds no recipe that can be followed: its {param.name} is "
                f"{options[param.name]!r:.40}. Give the options instead."
            )


def can_be(param: click.Parameter, value: Any, ctx: click.Context) -> bool:
    """Whether an option can have a value of JSON; null only where it need not be given."""
    if value is None:
        return not isinstance(param.default, int | float | str | tuple | list)
    parts = value if isinstance(value, list) else [value]
    if any(part is None or (isinstance(part, str) and "\0" in part) for part in parts):
        return False
    try:
        param.type_cast_value(ctx, value)
    except (click.BadParameter, TypeError, ValueError, OverflowError):
        return False
    return True
