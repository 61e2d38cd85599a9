"""Drawn pictures, the default data: rigid objects in PASCAL3D+'s layout, faces in CelebA's.

ROOT is where they are drawn. What PASCAL3D+'s builder reads from there becomes the dataset.h5,
so that the whole way from the layout to the score is walked without a download. The faces, below
ROOT/CelebA, are for the builders of faces.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import joblib
from tqdm import tqdm

from jladkit.builders import pascal3d
from jladkit.builders.about import About
from jladkit.builders.build import build_crops
from jladkit.builders.options import Job, crop_options, default, job_options, pair_options
from jladkit.builders.synthetic_faces import draw_face_file, write_face_lists
from jladkit.builders.synthetic_records import draw_object, make_folders, write_lists
from jladkit.builders.synthetic_scene import KINDS
from jladkit.errors import UsageError
from jladkit.formats.files import check_output, make_folder

ABOUT = About(
    title="Drawn objects",
    url="jladkit itself: jladkit build-dataset synthetic",
    licence="Apache-2.0, like jladkit, which draws them",
    citation="jladkit, https://pypi.org/project/jladkit",
    layout="""
Annotations/<category>_imagenet/*.mat     drawn by jladkit, in PASCAL3D+'s layout
Images/<category>_imagenet/*.JPEG
""",
    creator="jladkit",
    published="2026",
)
MARKER = "drawn.json"
EDITION = 1  # goes up when the same options draw other pictures


@dataclass(frozen=True, kw_only=True)
class Options(pascal3d.Options):
    """What to draw, and how to build from it."""

    name: str = "synthetic"
    images: int = 80
    faces: int = 40
    picture_size: int = 320

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.category) - set(KINDS))
        if unknown:
            raise UsageError(f"No category {', '.join(unknown)}. Known: {', '.join(KINDS)}.")

    @property
    def categories(self) -> list[str]:
        """The categories to draw, in the order of KINDS."""
        return [name for name in KINDS if name in (self.category or KINDS)]


def build(root: Path, options: Options, job: Job) -> str:
    """Draw into `root`, unless that is done, and build a dataset.h5; returns its digest.

    Args:
        root: the folder to draw in; must be new, empty, or drawn by this with the same options.
        options: what to draw and how to pair; they enter the recipe.
        job: output, workers, strictness; `overwrite` also replaces other drawn pictures.

    Raises:
        UsageError: `root` holds something else, or the output exists.
        JladkitError: nothing is left, as where very few pictures are drawn.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file. ROOT must be a folder to draw in.")
    check_output(job.out, overwrite=job.overwrite)
    make_folder(root)
    draw(root, options, workers=job.workers, overwrite=job.overwrite)
    records = pascal3d.list_records(root, options.category, options.part)
    read = partial(pascal3d.read_record, root=root, options=options, strict=job.strict)
    agree = partial(pascal3d.agreement, options)
    return build_crops("synthetic", records, read, agree, options, job, about=ABOUT)


def draw(root: Path, options: Options, *, workers: int = 1, overwrite: bool = False) -> None:
    """Draw all pictures into the folder `root`, or none.

    The same options give the same files, byte for byte, whatever `workers` is. A folder that was
    drawn with these options is left as it is.

    Raises:
        UsageError: `root` is neither empty nor drawn by this, or was drawn with other options and
            `overwrite` is not given.
    """
    marker = {
        "drawn_by": "jladkit build-dataset synthetic",
        "edition": EDITION,
        "seed": options.seed,
        "images": options.images,
        "categories": options.categories,
        "faces": options.faces,
        "picture_size": options.picture_size,
    }
    if already_drawn(root, marker, overwrite):
        return
    root = root.absolute()
    aside = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        fill_folder(aside, options, workers)
        (aside / MARKER).write_text(json.dumps(marker, indent=2) + "\n")
        aside.chmod(0o755)  # mkdtemp makes it for one's own eyes
        if root.exists():
            shutil.rmtree(root)
        aside.rename(root)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def already_drawn(root: Path, marker: dict[str, Any], overwrite: bool) -> bool:
    """Whether `root` holds just what `marker` describes; False where it may be drawn anew."""
    if not root.exists() or not any(root.iterdir()):
        return False
    try:
        found = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("drawn_by") != marker["drawn_by"]:
        raise UsageError(
            f"{root} is neither empty nor drawn by this command. Give a new folder for ROOT; "
            "pictures in PASCAL3D+'s layout are built with: jladkit build-dataset pascal3d"
        )
    if found == marker:
        return True
    if not overwrite:
        off = ", ".join(f"{k} {found.get(k)}" for k in marker if found.get(k) != marker[k])
        raise UsageError(
            f"{root} was drawn with other options ({off}). Give --overwrite to draw it anew, "
            "or another ROOT."
        )
    return False


def fill_folder(folder: Path, options: Options, workers: int) -> None:
    """Draw everything below `folder`, in parallel."""
    make_folders(folder, options.categories)
    for category in options.categories:
        write_lists(folder, category, options.images)
    size, seed = options.picture_size, options.seed
    tasks: list[Callable[[], Any]] = [
        partial(draw_object, folder, category, index, seed, size)
        for category in options.categories
        for index in range(options.images)
    ]
    objects = len(tasks)
    if options.faces:
        (folder / "CelebA" / "img_align_celeba").mkdir(parents=True)
        tasks += [
            partial(draw_face_file, folder / "CelebA", index, seed)
            for index in range(options.faces)
        ]
    results = joblib.Parallel(n_jobs=workers if len(tasks) > 32 else 1, return_as="generator")(
        joblib.delayed(call)(task) for task in tasks
    )
    drawn: list[Any] = list(tqdm(results, total=len(tasks), desc="drawing", disable=None))
    if options.faces:
        write_face_lists(folder / "CelebA", drawn[objects:])


def call(task: Callable[[], Any]) -> Any:
    """Run a task; a module's function, so that worker processes find it."""
    return task()


@click.command("synthetic", short_help="Drawn objects and faces: the default, no download.")
@job_options("synthetic")
@crop_options(Options)
@pair_options(Options)
@click.option("--images", type=click.IntRange(min=1), show_default=True,
              default=default(Options, "images"),
              help="Pictures to draw of each category.")  # fmt: skip
@click.option("--faces", type=click.IntRange(min=0), show_default=True,
              default=default(Options, "faces"),
              help="Faces to draw below ROOT/CelebA; they do not enter FILE.")  # fmt: skip
@click.option("--picture-size", type=click.IntRange(64, 2048), show_default=True,
              default=default(Options, "picture_size"),
              help="Longer side of a drawn picture, in pixels.")  # fmt: skip
@pascal3d.tolerance_options
def command(root: Path, job: Job, **values: Any) -> None:
    """Draw objects of PASCAL3D+'s twelve categories into ROOT, and build from them.

    ROOT is made in PASCAL3D+'s layout, with --faces faces in CelebA's and MAFL's layout below
    ROOT/CelebA. --seed also decides what is drawn. A folder drawn before with the same --seed,
    --images, --category, --faces and --picture-size is used again.

    \b
    jladkit build-dataset synthetic drawn --out drawn.h5
    jladkit build-dataset synthetic cars --out cars.h5 --category car --images 300 --seed 1
    """
    build(root, Options(**values), job)
