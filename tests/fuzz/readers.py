"""What is fuzzed: for each reader a few small whole inputs, how they are changed, who reads them.

A case is prepared in a folder of its own. Most are read by the command line itself, in this
process, so that whatever a user could see as a traceback is seen here.
"""

import contextlib
import copy
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from drawn import drawn_dataset
from fuzz import structures
from fuzz.mutants import Mutate, few, of_bytes, of_json, of_text, pick
from PIL import Image
from scipy.io import savemat
from tiny import predicted, tiny_dataset

from jladkit.cli import group
from jladkit.errors import JladkitError
from jladkit.formats.dataset import open_dataset
from jladkit.formats.predictions import write_predictions
from tests.builders.layouts import coco_root, pascal3d_root, picture, thing, viewpoint
from tests.builders.layouts_faces import as_tar, celeba_root, mtfl_root


@dataclass(frozen=True)
class Case:
    """One input: where it lies, its whole bytes, how it is changed and what reads it there."""

    path: Path
    raw: bytes
    mutate: Mutate
    read: Callable[[], None]


def typed(*words: object) -> Callable[[], None]:
    """Reads by `jladkit WORDS...`; raises what the command line would show as a sentence, or not
    catch. What it prints must be text."""

    def read() -> None:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            group.main([str(word) for word in words], standalone_mode=False)

    return read


def case(path: Path, mutate: Mutate, read: Callable[[], None]) -> Case:
    """A case of a whole file that lies in its place already."""
    return Case(path, path.read_bytes(), mutate, read)


def build(source: str, root: Path, *more: object) -> Callable[[], None]:
    """Reads by building a data set of `root`."""
    out = root.parent / f"{root.name}.h5"

    def read() -> None:
        try:
            typed(
                "build-dataset", source, root, "--out", out, "--workers", 1, "--overwrite", *more
            )()
        finally:
            shutil.rmtree(root.parent / f".{out.name}.parts", ignore_errors=True)

    return read


def mat(folder: Path) -> list[Case]:
    """A PASCAL3D+ record."""
    root = pascal3d_root(folder / "mat", 4)
    path = root / "Annotations/car_imagenet/n001.mat"
    objects = np.empty((1, 2), dtype=[(key, object) for key in thing()])
    for place in range(2):
        objects[0, place] = tuple(thing(viewpoint=viewpoint(azimuth=2.0)).values())
    record = {"filename": "n001.JPEG", "imgsize": [80.0, 60.0, 3.0], "objects": objects}
    stream = io.BytesIO()
    savemat(stream, {"record": record})

    def mutate(raw: bytes, rng: np.random.Generator) -> bytes:
        if rng.random() < 0.5:
            return structures.of_record(copy.deepcopy(record), rng)
        return of_bytes(stream.getvalue() if rng.random() < 0.7 else raw, rng)

    return [case(path, mutate, build("pascal3d", root))]


def evaluated(data: Path, path: Path, metric: str, *more: object) -> Callable[[], None]:
    """Reads by scoring."""
    return typed("evaluate", "--data", data, "--predictions", path, "--metric", metric, *more)


def csv(folder: Path) -> list[Case]:
    """Points of pairs and of objects, in the words of others."""
    data = tiny_dataset(folder / "csv.h5")
    said = predicted(data)
    assert said.pair_row is not None and said.pair_points is not None
    assert said.object_row is not None and said.object_points is not None
    pairs, objects = folder / "pairs.csv", folder / "objects.csv"
    lines = [f"{p},{k},{x},{y},0.5" for p, row in enumerate(said.pair_points)
             for k, (x, y) in enumerate(row) if np.isfinite(x)]  # fmt: skip
    pairs.write_text("\n".join(["pair,keypoint,x,y,log_sigma", *lines]) + "\n")
    lines = [f"{row},{k},{x},{y}"
             for row, points in zip(said.object_row, said.object_points, strict=True)
             for k, (x, y) in enumerate(points)]  # fmt: skip
    objects.write_text("\n".join(["object,landmark,x,y", *lines]) + "\n")
    return [
        case(pairs, of_text, evaluated(data.path, pairs, "pck")),
        case(objects, of_text, evaluated(data.path, objects, "iod", "--protocol", "imm")),
    ]


def coco(folder: Path) -> list[Case]:
    """COCO keypoints."""
    root = coco_root(folder / "coco")
    return [case(root / "annotations.json", of_json, build("coco", root))]


def mtfl(folder: Path) -> list[Case]:
    """A list of MTFL."""
    root = folder / "mtfl"
    root.mkdir()
    mtfl_root(root, train=4, aflw=6)
    return [case(root / "testing.txt", of_text, build("mtfl", root))]


def celeba(folder: Path) -> list[Case]:
    """CelebA's landmarks and partition, and MAFL's list."""
    root = folder / "celeba"
    root.mkdir()
    celeba_root(root, 12, train=6, test=3)
    read = build("celeba", root)
    names = ("list_landmarks_align_celeba.txt", "list_eval_partition.txt", "MAFL/testing.txt")
    return [*(case(root / name, of_text, read) for name in names),
            case(root / names[0], of_text, build("mafl", root))]  # fmt: skip


def tar(folder: Path) -> list[Case]:
    """MTFL in a tar."""
    inside = folder / "inside"
    inside.mkdir()
    path = as_tar(mtfl_root(inside, train=1, aflw=4), folder / "mtfl.tar")
    return [case(path, structures.of_tar, build("mtfl", path))]


def pictures(folder: Path) -> list[Case]:
    """Photographs of the kinds that are read, among whole ones."""
    found = []
    for ending in ("jpg", "jpg", "png", "png", "gif", "tif", "bmp", "webp", "ppm"):
        root = folder / f"pictures{len(found)}"
        picture(root / f"a.{ending}", 80, 70, "P" if ending == "gif" else "RGB")
        picture(root / "b.jpg", 90, 80)
        read = build("folder", root, "--min-side", 1)
        found.append(case(root / f"a.{ending}", of_bytes, read))
    gray = Image.fromarray(np.arange(6400, dtype=np.uint16).reshape(80, 80) * 9)
    gray.save(folder / "pictures2/a.png")  # 16 bits
    found[2] = case(folder / "pictures2/a.png", of_bytes, found[2].read)
    return found


def dataset(folder: Path) -> list[Case]:
    """dataset.h5: inspected, drawn, scored on, exported from."""
    tiny, dots = tiny_dataset(folder / "tiny.h5"), open_dataset(drawn_dataset(folder / "dots.h5"))
    found = []
    for data in (tiny, dots):
        whole, path = data.path, folder / f"mutant-{data.path.name}"
        shutil.copy(whole, path)
        stored = folder / f"{whole.stem}-said.h5"
        write_predictions(stored, predicted(data))
        for read in (
            typed("inspect", path, "--png", folder / "sheet.png", "--count", 4),
            evaluated(path, stored, "pck"),
            evaluated(path, stored, "iod"),
            exported(path, folder / "exported"),
        ):
            found.append(case(path, structures.of_hdf5, read))
    return found


def exported(data: Path, out: Path) -> Callable[[], None]:
    """Reads by writing out the pairs for others."""

    def read() -> None:
        try:
            typed("export-pairs", "--data", data, "--out", out)()
        finally:
            shutil.rmtree(out, ignore_errors=True)

    return read


def options(folder: Path) -> list[Case]:
    """The options that another data set was built with."""
    root = coco_root(folder / "coco")
    build("coco", root)()
    path = (folder / "coco.h5").rename(folder / "like.h5")

    def mutate(raw: bytes, rng: np.random.Generator) -> bytes:
        stream = io.BytesIO(raw)
        with h5py.File(stream, "r+") as file:
            structures.as_text(file, "recipe", of_json(str(file.attrs["recipe"]).encode(), rng))
        return stream.getvalue()

    return [case(path, mutate, build("coco", root, "--recipe-from", path))]


def predictions(folder: Path) -> list[Case]:
    """predictions.h5, and HDF5 of others: inspected and scored."""
    data = tiny_dataset(folder / "data.h5")
    said = predicted(data)
    assert said.pair_points is not None
    count = len(said.pair_points)
    more: dict[str, Any] = {
        "pair_log_sigma": np.zeros(said.pair_points.shape[:2]),
        "pair_flow": np.full((count, 2, 3, 4), 7.0),
    }
    found = []
    for name, parts in (("said.h5", {}), ("more.h5", more)):
        path = folder / name
        write_predictions(path, predicted(data, **parts))
        found += [
            case(path, structures.of_hdf5, typed("inspect", path)),
            case(path, structures.of_hdf5, typed(
                "inspect", path, "--data", data.path, "--png", folder / "sheet.png", "--count", 4)),
            case(path, structures.of_hdf5, evaluated(
                data.path, path, "pck", "--out", folder / "results", "--overwrite")),
            case(path, structures.of_hdf5, evaluated(data.path, path, "iod")),
        ]  # fmt: skip
    theirs = folder / "theirs.h5"
    with h5py.File(theirs, "w") as file:
        file["pair/points"] = said.pair_points
        file["pair/row"] = said.pair_row
        file.attrs["method"], file.attrs["config"] = "theirs", json.dumps({"a": 1})
    return [*found, case(theirs, structures.of_hdf5, evaluated(data.path, theirs, "pck"))]


def result(folder: Path) -> list[Case]:
    """result.json: inspected, and compared with itself."""
    paths = results_of(folder)
    return [
        case(path, of_json, read)
        for path in paths
        for read in (typed("inspect", path), typed("compare", path, path))
    ]


def report(folder: Path) -> list[Case]:
    """result.json in a report."""
    paths = results_of(folder)
    return [case(path, of_json, typed("report", path, "--out", folder / "page")) for path in paths]


def results_of(folder: Path) -> list[Path]:
    """Result files of each metric that needs no dense field."""
    data = tiny_dataset(folder / "data.h5")
    sigma = np.arange(4.0) * np.ones((len(data.pairs("test")), 1))
    write_predictions(folder / "said.h5", predicted(data, pair_log_sigma=sigma))
    for metric in ("pck", "iod", "sparsification"):
        evaluated(data.path, folder / "said.h5", metric, "--out", folder / "results")()
    return sorted((folder / "results").rglob("*.json"))


def recipe(folder: Path) -> list[Case]:
    """A recipe of each method that has one."""
    from importlib import resources

    from jladkit.registry import METHODS, load
    from jladkit.training.recipe import fill, read_recipe

    def reader(name: str, sections: Mapping[str, type[Any]], path: Path) -> Callable[[], None]:
        return lambda: void(fill(sections, read_recipe(name, str(path))))

    found = []
    for name in METHODS:
        sections = getattr(load("method", name), "sections", None)
        text = resources.files("jladkit.recipes") / f"{name}-cpu.toml"
        if sections is not None and text.is_file():
            path = folder / f"{name}.toml"
            path.write_text(text.read_text())
            found.append(case(path, of_toml, reader(name, sections, path)))
    return found


def of_toml(raw: bytes, rng: np.random.Generator) -> bytes:
    """Words and lines of a TOML; now and then brackets in brackets."""
    if rng.random() < 0.1:
        depth = int(2 ** rng.uniform(0, 17))
        sign = pick(rng, ("[]", "{}", '""'))
        extra = f"\n[model]\nx = {sign[0] * depth}{sign[1] * depth}\n".encode()
        return raw + extra
    return of_text(raw, rng)


def void(_: object) -> None:
    """Nothing of a value."""


def checkpoint(folder: Path) -> list[Case]:
    """Our own checkpoint, loaded, inspected, resumed; and the log beside it."""
    import torch

    from jladkit.registry import load
    from jladkit.training.checkpoint import write_checkpoint
    from jladkit.training.recipe import as_table, fill
    from jladkit.training.saving import restore

    joint = load("method", "joint")
    model = {"size": 64, "layers": ["blocks.2"], "width": 16, "landmarks": 2, "radius": 2}
    config = fill(joint.sections, {"model": {**model, "weights": "random"}})
    net = joint.network(config["model"], ["kind0"])
    label = {"method": "joint", "config": as_table(config), "categories": ["kind0"],
             "dataset": "dots", "dataset_digest": "0" * 64, "environment": {}}  # fmt: skip
    run = folder / "run"
    tensors = {name: value for name, value in net.state_dict().items()}
    write_checkpoint(run / "model.safetensors", tensors, label)
    small = {"net/a": torch.zeros(3), "moment/a/step": torch.zeros(1)}
    told = {**label, "progress": {"step": 3, "scores": {"a": 1.0}, "best": {"a": [1.0, 2]}}}
    write_checkpoint(run / "state.safetensors", small, told)
    record = {"step": 1, "phase": "align", "total": 1.0, "validation": {"pck@0.1": 0.5}}
    lines = [json.dumps({**record, "step": step}) for step in range(1, 6)]
    (run / "log.jsonl").write_text("\n".join(lines) + "\n")

    class Small:
        """What restore needs of a trainee."""

        def __init__(self) -> None:
            self.net, self.label = torch.nn.Module(), label
            self.net.register_buffer("a", torch.zeros(3))

    here: Any = Small()
    path, state = run / "model.safetensors", run / "state.safetensors"
    device = torch.device("cpu")
    return [
        case(path, structures.of_safetensors, lambda: void(joint.load(path, device))),
        case(path, structures.of_safetensors, typed("inspect", run)),
        case(state, structures.of_safetensors, lambda: void(restore(here, state))),
        case(run / "log.jsonl", of_lines, typed("inspect", run)),
    ]


def of_lines(raw: bytes, rng: np.random.Generator) -> bytes:
    """Lines of JSON."""
    lines = raw.split(b"\n")
    for _ in range(few(rng)):
        at = int(rng.integers(len(lines)))
        try:
            lines[at] = of_json(lines[at], rng) if lines[at] else lines[at]
        except ValueError:  # it was changed before
            lines[at] = of_bytes(lines[at], rng)
    return b"\n".join(lines)


def foreign(folder: Path) -> list[Case]:
    """Checkpoints that others pickled: as archives of today and of the old kind."""
    import argparse

    import torch

    from jladkit.model.backbones import read_state
    from jladkit.registry import load
    from jladkit.training.official import read_official

    state = {f"FeatureExtraction.model.{i}.weight": torch.randn(4, 3) for i in range(4)}
    saved = {"state_dict": state, "args": argparse.Namespace(ncons_channels=[16], lr=0.1),
             "epoch": 3, "train_loss": np.arange(4.0)}  # fmt: skip
    device, found = torch.device("cpu"), []
    ncnet, cnngeo = load("method", "ncnet"), load("method", "cnngeo")
    for zipped in (True, False):
        path = folder / f"foreign{int(zipped)}.pth.tar"
        torch.save(saved, path, _use_new_zipfile_serialization=zipped)
        for read in (read_official, read_state, lambda p: ncnet.load_official(p, device),
                     lambda p: cnngeo.load_official(p, device)):  # fmt: skip
            found.append(case(path, structures.of_zip, called(read, path)))
    return found


def called(read: Callable[[Path], Any], path: Path) -> Callable[[], None]:
    """Reads by a function that takes a path; a whole file that is of no method may be refused."""
    return lambda: void(read(path))


READERS: dict[str, Callable[[Path], Sequence[Case]]] = {
    "mat": mat,
    "csv": csv,
    "coco": coco,
    "mtfl": mtfl,
    "celeba": celeba,
    "tar": tar,
    "pictures": pictures,
    "dataset": dataset,
    "options": options,
    "predictions": predictions,
    "result": result,
    "report": report,
    "recipe": recipe,
    "checkpoint": checkpoint,
    "foreign": foreign,
}


def outcome(case: Case, raw: bytes) -> str:
    """What reading a mutant came to: "read", or "refused" with a sentence.

    Raises:
        Exception: anything else; that is a finding.
    """
    import click

    case.path.write_bytes(raw)
    try:
        case.read()
    except (JladkitError, click.ClickException):
        return "refused"
    finally:
        case.path.write_bytes(case.raw)
    return "read"
