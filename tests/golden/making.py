"""One small file of every kind that jladkit writes, by today's code.

PYTHONPATH=tests python -m golden FOLDER VERSION writes them all; tests/golden keeps those of each
version, and test_golden.py says when a new one is due.
"""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from drawn import drawn_dataset
from PIL import Image
from tiny import predicted, tiny_arrays, true_points
from torch import Tensor, nn

from jladkit.builders import coco, shards
from jladkit.builders.objects import Annotation, Found, InputFile, Point, Stored
from jladkit.builders.options import Job
from jladkit.cli import group
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.formats.log import LOG
from jladkit.formats.masks import encode_mask
from jladkit.formats.predictions import Predictions, write_predictions
from jladkit.training import loop
from jladkit.training.joint import Joint
from tests.builders.layouts import coco_content, coco_root, picture

SMALL = [
    "model.size=64", "model.layers=['blocks.0']", "model.width=16", "model.landmarks=2",
    "model.radius=1", "model.weights='random'", "train.batch=2", "train.synthetic_steps=1",
    "train.rounds=1", "train.align_steps=1", "train.detect_steps=1", "train.validate_every=1",
    "train.precision='float32'", "train.warps=1",
]  # fmt: skip


def make(folder: Path, version: str) -> None:
    """Write all files, VERSION such as "1a" in their names."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        inputs = Path(name)
        datasets(inputs, folder, version)
        told = predictions(open_dataset(folder / f"dense-{version}.h5"))
        write_predictions(folder / f"predictions-{version}.h5", told)
        write_predictions(folder / f"shard-{version}.h5", replace(told, shard="0/2"))
        results(inputs, folder, version)
        checkpoints(inputs, folder, version)
        part(inputs, folder / f"part-{version}.json")


def datasets(inputs: Path, folder: Path, version: str) -> None:
    """Data sets that were built, once with pictures in shards; and one with masks and flow."""
    root = coco_root(inputs / "root", coco_content(4))
    for kind in ("built", "virtual"):
        job = Job(out=folder / f"{kind}-{version}.h5", workers=1, virtual=kind == "virtual")
        coco.build(root, coco.Options(), job)
    for beside in folder.glob(f"*-{version}.c*"):  # cards are read by people and other programs
        beside.unlink()
    arrays: dict[str, Any] = tiny_arrays(objects=12)
    sides = arrays["object/size"]
    pictures = [plain(w, h) for w, h in sides.tolist()]  # its own, of noise, are large
    arrays["object/image_bytes"] = np.frombuffer(b"".join(pictures), np.uint8)
    arrays["object/image_span"] = spans([len(one) for one in pictures])
    masks = [encode_mask(np.arange(w * h).reshape(h, w) % 2 == 0) for w, h in sides.tolist()]
    arrays["object/mask_bytes"] = np.frombuffer(b"".join(masks), np.uint8)
    arrays["object/mask_span"] = spans([len(mask) for mask in masks])
    width, height = sides[arrays["pair/source"][0]].tolist()
    arrays["pair/flow"] = np.tile([1.5, -2.0], (width * height, 1))
    arrays["pair/flow_span"] = spans([width * height, *[0] * (len(arrays["pair/source"]) - 1)])
    write_dataset(folder / f"dense-{version}.h5", arrays, name="dense", recipe={}, source={})


def plain(width: int, height: int) -> bytes:
    """A PNG of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (10, 20, 30)).save(stream, "PNG")
    return stream.getvalue()


def spans(lengths: list[int]) -> np.ndarray:
    """First and last+1 of stretches behind one another."""
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, ends], axis=1)


def predictions(data: Dataset) -> Predictions:
    """The truth about the test split, with everything that a method may say."""
    count = len(data.pairs("test"))
    return predicted(
        data,
        pair_log_sigma=np.full((count, 4), -1.25),
        pair_points_back=true_points(data, back=True),
        pair_flow=np.full((count, 2, 3, 4), 7.0),
        pair_flow_back=np.full((count, 2, 4, 3), 8.0),
        peak_memory=1 << 20,
    )


def results(inputs: Path, folder: Path, version: str) -> None:
    """What scoring them gives, and what each item was scored."""
    data, stored = (folder / f"{kind}-{version}.h5" for kind in ("dense", "predictions"))
    protocols = {"pck": "jlad", "iod": "recommended", "sparsification": "jlad"}
    for metric, protocol in protocols.items():
        words = ["--data", data, "--predictions", stored, "--metric", metric]
        words += ["--protocol", protocol, "--strata", "--out", inputs / "results"]
        with contextlib.redirect_stdout(io.StringIO()):
            group.main(["evaluate", *map(str, words)], standalone_mode=False)
        for path in (inputs / "results").rglob(f"{metric}-*"):
            path.rename(folder / f"{metric}-{version}{path.suffix}")


class Line:
    """A trainee of one layer: its state and log are small."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net: nn.Module = nn.Linear(3, 1)
        self.kept: Sequence[loop.Kept] = [loop.Kept("score", True, ("",))]
        self.label: Mapping[str, Any] = {"method": "line", "config": {}, "dataset_digest": "0" * 64}

    def phases(self) -> list[loop.Phase]:
        return [loop.Phase("first", 3, 0.1)]

    def parameters(self, phase: loop.Phase) -> Any:
        return self.net.named_parameters()

    def loss(self, phase: loop.Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        term = self.net(torch.from_numpy(generator.normal(size=(4, 3))).float()).square().mean()
        return {"total": term, "term": term}

    def validate(self, phase: loop.Phase, latest: Any) -> dict[str, float]:
        return {"score": 0.5}

    def collapses(self, records: Any) -> list[str]:
        return []


def checkpoints(inputs: Path, folder: Path, version: str) -> None:
    """The weights of the joint method; and state and log of a trainee of one layer."""
    data = open_dataset(drawn_dataset(inputs / "dots.h5", objects=6))
    device = torch.device("cpu")
    joint = Joint.train(data, "cpu", SMALL, inputs / "joint", device=device, progress=False)
    joint.rename(folder / f"joint-{version}.safetensors")
    line = inputs / "line"
    loop.train(Line(), line, seed=0, validate_every=2, progress=False)
    for kind, name in (("state", loop.STATE), ("log", LOG)):
        path = line / name
        path.rename(folder / f"{kind}-{version}{path.suffix}")


def part(inputs: Path, path: Path) -> None:
    """A part of a build that was stopped, of one object."""
    picture(inputs / "a.jpg")
    points = {"nose": Point(20.0, 30.0, True, 2), "tail": Point(50.0, 10.0, False, 1)}
    box = np.array([9.5, 9.5, 69.5, 49.5])
    annotation = Annotation("a.jpg", 0, "cat", points, box)
    turn = np.array([[2.0, 0.0, 5.0], [0.0, 2.0, 5.0]])
    raw = (inputs / "a.jpg").read_bytes()
    found = Found(
        objects=[Stored(annotation, box, raw, (80, 60), (170, 130), turn)],
        left_out=[("small", "b.jpg")],
        missing=["c.jpg"],
        files=[InputFile("a.jpg", "0" * 64, "/pictures/a.jpg", len(raw), 1)],
    )
    shards.write_shard(path, found)
