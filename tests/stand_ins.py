"""Tiny files of each kind that a command reads, drawn once, put under the names that it asks for."""

import csv
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import jladkit
from jladkit.builders import tss
from jladkit.builders.options import Job
from jladkit.cli import reproduce
from jladkit.cli.evaluate import save
from jladkit.formats.dataset import open_dataset, write_dataset
from jladkit.formats.predictions import open_predictions, write_predictions
from jladkit.registry import load
from jladkit.training.joint import Joint
from jladkit.training.own import CPU
from jladkit.training.prediction import FLOWS, PARTS, ask
from tests.builders.layouts import coco_root, pascal3d_root
from tests.builders.layouts_dense import tss_root
from tests.builders.layouts_faces import celeba_root, mtfl_root
from tests.builders.test_pf_pascal import pf_root
from tests.cli.conftest import TINY
from tests.drawn import drawn_arrays

MANY = "--fit-rows"  # a command that says so wants more objects than the others
ARCHIVES = {
    "coco": (coco_root,),
    "jlad": (pascal3d_root, celeba_root),
    "mtfl": (mtfl_root,),
    "pascal3d": (pascal3d_root,),
    "pf-pascal": (pf_root,),
}


class StandIns:
    """Makes what is asked for, once, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def dataset(self, name: str, objects: int = 24) -> Path:
        """A data set called `name` of drawn "cat"s with viewpoints; few of each one's pairs."""
        path = self.folder / f"{name}-{objects}.h5"
        if not path.exists():
            arrays = drawn_arrays(objects, seed=sum(name.encode()))
            near = (arrays["pair/target"] - arrays["pair/source"]) % objects <= 6
            arrays |= {key: a[near] for key, a in arrays.items() if key.startswith("pair/")}
            arrays["category/name"] = np.array(["cat"], dtype=object)
            turn = np.arange(objects) * 7.0 % 40
            arrays["object/viewpoint"] = np.stack([turn, turn / 4, 0 * turn, 1 + 0 * turn], axis=1)
            write_dataset(path, arrays, name=name, recipe={"builder": "drawn"}, source={})
        return path

    @cached_property
    def dense(self) -> Path:
        """A data set with flow."""
        path = self.folder / "tss.h5"
        tss.build(tss_root(self.folder / "tss"), tss.Options(), Job(out=path))
        return path

    @cached_property
    def run(self) -> Path:
        """The folder of a joint training of a few steps."""
        out = self.folder / "run"
        data = open_dataset(self.dataset("animals"))
        Joint.train(data, "cpu", TINY, out, device=CPU, progress=False)
        return out

    def predictions(self, path: Path) -> Path:
        """What that run says of a data set, or the identity of one with flow."""
        out = self.folder / f"{path.stem}.predictions.h5"
        if not out.exists():
            data = open_dataset(path)
            if path == self.dense:
                found = ask(jladkit.load_method("identity"), data, "test", CPU, False,
                            (*PARTS, *FLOWS), 8)  # fmt: skip
            else:
                method = jladkit.load_method(checkpoint=self.run)
                found = ask(method, data, "test", CPU, False)
            write_predictions(out, found)
        return out

    def table(self, path: Path, data: Path) -> None:
        """Those predictions as a CSV of others: of landmarks where its name says so."""
        said, known = open_predictions(self.predictions(data)), open_dataset(data)
        assert said.pair_points is not None and said.object_points is not None
        landmarks = "landmarks" in path.name
        head = ["object", "landmark"] if landmarks else ["pair", "keypoint"]
        points = said.object_points if landmarks else said.pair_points
        rows = said.object_row if landmarks else np.arange(len(points))
        assert rows is not None and len(known.pairs("test")) == len(said.pair_points)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*head, "x", "y"])
            for row, own in zip(rows.tolist(), points.tolist(), strict=True):
                writer.writerows([row, number, *xy] for number, xy in enumerate(own))

    def results(self, folder: Path, name: str, metrics: tuple[str, ...]) -> None:
        """Results of two methods on a data set called `name`, as `evaluate --out` leaves them."""
        path = self.dataset(name)
        data = open_dataset(path)
        said = open_predictions(self.predictions(path))
        for metric in metrics:
            for method in ("joint", "nearest"):
                object.__setattr__(said, "method", method)
                score = load("metric", metric)
                save(folder, *score(data, said, None, None), overwrite=True)

    def reproduction(self, folder: Path, name: str) -> None:
        """OUT/NAME of a `jladkit reproduce` that has ended, each row with the same scores."""
        path = self.dataset(name)
        data, said = open_dataset(path), open_predictions(self.predictions(path))
        for metric, protocol in reproduce.EVALUATIONS:
            _, items = load("metric", metric)(data, said, protocol, None)
            for row in reproduce.ROWS:
                for seed in (0, 1, 2):
                    place = reproduce.items_path(folder / name, row, seed, metric, protocol)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    items.to_parquet(place, index=False)


def put(stage: StandIns, words: tuple[str, ...], values: dict[str, Any]) -> None:
    """Put what a command reads into the current folder, under the names that it has in `words`.

    Args:
        values: of its options, as click reads them.
    """
    name = words[0]
    objects = 360 if MANY in words else 24
    given = values.get("data") or values.get("train")
    data = stage.dense if "flow" in words or "--dense" in words else None
    if data is None and isinstance(given, Path):
        data = stage.dataset(given.stem, objects)
    if name == "build-dataset":
        put_archives(words, values)
    for key in ("data", "train", "datasets", "files", "file"):
        for path in as_paths(values.get(key)):
            if path.suffix == ".h5" and not (name == "figure" and key == "files"):
                place(data if key == "data" and data else stage.dataset(path.stem, objects), path)
    for text in values.get("tests") or ():
        path = Path(text.rpartition("=")[0])
        place(stage.dataset(path.stem), path)
    said = as_paths(values.get("stored"))
    if name in ("report", "figure", "carry"):
        said += as_paths(values.get("predictions")) + as_paths(values.get("files"))
    for path in said:
        assert data is not None
        if path.suffix == ".csv":
            stage.table(path, data)
        else:
            place(stage.predictions(data), path)
    runs = [*as_paths(values.get("checkpoint")), *as_paths(values.get("run"))]
    runs += [Path(word.rpartition("=")[2]) for word in values.get("checkpoints") or ()]
    runs += [path for path in as_paths(values.get("file")) if not path.suffix]
    runs += [Path(s.partition("=")[2]) for s in values.get("settings") or () if "train.start=" in s]
    if values.get("resume"):
        runs.append(values["out"])
    for path in runs:
        place(stage.run, path)
    if "results" in values or "result" in values or name == "compare":
        metrics = ("pck", "iod", "sparsification") if name == "report" else ("pck",)
        if "sparsification" in words:
            metrics = ("sparsification",)
        folders = as_paths(values.get("results")) or [Path("results")]
        for folder in folders:
            stage.results(folder, "animals", metrics)
    if name in ("match", "detect"):
        for path in (*as_paths(values.get("images")), *as_paths(values.get("source")),
                     *as_paths(values.get("target"))):  # fmt: skip
            Image.effect_noise((160, 120), 80).convert("RGB").save(path)
    if name == "reproduce":
        for path in values["datasets"]:
            stage.reproduction(values["out"], path.stem)
    if name == "figure" and "folder" in values:
        stage.reproduction(values["folder"].parent, values["folder"].name)
    if name == "baselines":
        put_compared(stage, values)


def put_archives(words: tuple[str, ...], values: dict[str, Any]) -> None:
    """What a source's builder reads, below the names that the command has for its roots."""
    roots = [value for key, value in values.items()
             if isinstance(value, Path) and key not in ("out", "recipe_from")]  # fmt: skip
    for make, root in zip(ARCHIVES.get(words[1], ()), roots, strict=False):
        make(root)


def put_compared(stage: StandIns, values: dict[str, Any]) -> None:
    """OUT of a `jladkit baselines` that has trained and scored all there is."""
    from jladkit.cli.baselines import able, parse_test, result_path

    data = stage.dataset("scored")
    said = open_predictions(stage.predictions(data))
    for method in able(values["metric"]):
        (values["out"] / method).mkdir(parents=True)
        (values["out"] / method / "done").touch()
        for path, protocols in map(parse_test, values["tests"]):
            for protocol in protocols:
                result, items = load("metric", values["metric"])(open_dataset(data), said, protocol)
                object.__setattr__(result, "method", method)
                object.__setattr__(result, "dataset", path.stem)
                written = save(values["out"] / "results", result, items, overwrite=True)
                assert written == result_path(
                    values["out"] / "results", path.stem, method, values["metric"], protocol
                )


def as_paths(value: Any) -> list[Path]:
    """One path, several, or none."""
    return [value] if isinstance(value, Path) else list(value or ())


def place(source: Path, target: Path) -> None:
    """A copy of a file or a folder under another name, unless it is there."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
