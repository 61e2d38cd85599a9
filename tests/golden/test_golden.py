"""Files of every version that jladkit ever wrote are read, or refused in words that say what to do.

A file is called KIND-VERSION: the schema's number, and a letter that goes on where what is written
changed and readers do not mind. Each schema is still its first. 1a is by the first commit that wrote
the kind, run as it was then, 1b by the code of today: dataset.h5 got input/*, and masks and flow where
a source has them; predictions.h5 what else a method may say; result.json three keys, without which
it is refused; state.safetensors other names, so that a run of the first days cannot be gone on with.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from golden.making import Line, make
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import EYES, NAMES, true_points

from jladkit.builders import shards
from jladkit.errors import JladkitError
from jladkit.formats import dataset, predictions, result
from jladkit.formats.dataset import content_digest, input_files, open_dataset
from jladkit.formats.log import read_log
from jladkit.formats.predictions import check_belongs, open_predictions
from jladkit.formats.result import read_result
from jladkit.training import checkpoint, saving
from jladkit.training.joint import Joint

HERE = Path(__file__).parent
SCHEMAS = {
    **dict.fromkeys(("built", "virtual", "dense"), dataset.SCHEMA),
    **dict.fromkeys(("predictions", "shard"), predictions.SCHEMA),
    **dict.fromkeys(("pck", "iod", "sparsification"), result.SCHEMA),
    **dict.fromkeys(("joint", "state"), checkpoint.SCHEMA),
    "log": 1,
    "part": shards.SCHEMA,
}
OWN = {"environment", "config", "protocol"}  # what stands in these has versions of its own
CHANGED = (
    "What jladkit writes has changed. Raise the SCHEMA of its module, say how an older file is "
    "read or refused, and add golden files of the new version: PYTHONPATH=tests python -m golden "
    "tests/golden 2a. Where readers of today's version do not mind, the next letter is enough: 1c."
)


def files(kind: str, ending: str = "*") -> list[Path]:
    """Golden files of a kind, oldest first."""
    return sorted(HERE.glob(f"{kind}-*.{ending}"))


def all_but_folders() -> list[tuple[str, str]]:
    """Each kind with each of its files' endings."""
    return sorted(
        {(p.name.partition("-")[0], p.suffix[1:]) for p in HERE.glob("*-*") if p.is_file()}
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind as it is written today."""
    folder = tmp_path_factory.mktemp("made")
    make(folder, "now")
    return folder


def test_every_kind_has_a_file_of_every_schema(made: Path):
    kinds = {path.name.partition("-")[0] for path in made.iterdir()}
    assert kinds == SCHEMAS.keys()
    for kind, schema in SCHEMAS.items():
        numbers = {int(path.stem.partition("-")[2][:-1]) for path in files(kind)}
        assert numbers == set(range(1, schema + 1)), kind


@pytest.mark.parametrize(("kind", "ending"), all_but_folders())
def test_what_is_written_today_has_the_structure_of_the_newest_file(
    made: Path, kind: str, ending: str
):
    newest = files(kind, ending)[-1]
    assert structure(made / f"{kind}-now.{ending}") == structure(newest), CHANGED


def structure(path: Path) -> Any:
    """Everything about a file but the values in it."""
    return {
        ".h5": of_hdf5,
        ".json": lambda p: of_json(json.loads(p.read_text())),
        ".jsonl": lambda p: [of_json(json.loads(line)) for line in p.read_text().splitlines()],
        ".npy": lambda p: np.load(p).dtype.descr,
        ".parquet": lambda p: {n: t.kind for n, t in pd.read_parquet(p).dtypes.items()},
        ".safetensors": of_safetensors,
    }[path.suffix](path)


def of_hdf5(path: Path) -> dict[str, Any]:
    """Type, number of axes and kind of storage of every field; the type of every attribute."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            text = h5py.check_string_dtype(item.dtype) is not None
            found[name] = "text" if text else str(item.dtype), item.ndim, item.is_virtual

    with h5py.File(path) as file:
        file.visititems(visit)
        return {**found, **{f"@{key}": type(value).__name__ for key, value in file.attrs.items()}}


def of_json(value: Any) -> Any:
    """Names and types; of a list, those of its elements."""
    if isinstance(value, dict):
        return {k: "own" if k in OWN else of_json(v) for k, v in value.items()}
    if isinstance(value, list):
        told = [of_json(one) for one in value]
        return [one for n, one in enumerate(told) if one not in told[:n]]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if number else type(value).__name__


def of_safetensors(path: Path) -> dict[str, Any]:
    """Type and shape of every tensor; what stands beside them."""
    with safe_open(path, "pt") as file:
        beside = file.metadata()
    told = {name: (str(one.dtype), tuple(one.shape)) for name, one in load_file(path).items()}
    return {**told, "@": {**beside, "label": of_json(json.loads(beside["label"]))}}


@pytest.mark.parametrize(
    "path", [*files("built", "h5"), *files("virtual", "h5")], ids=lambda p: p.name
)
def test_a_built_data_set_is_read(path: Path):
    data = open_dataset(path)
    assert data.digest == content_digest(path)
    assert data.categories == ["cat"]
    assert data.keypoint_names == [["left_eye", "right_eye", "nose", "tail"]]
    assert data.object_source_image.tolist() == [f"{n:02}.jpg" for n in range(4)]
    assert input_files(path).keys() == {"annotations", *data.object_source_image}
    for row, (nose, tail) in enumerate([(60, 20), (20, 60), (60, 20), (20, 60)]):
        points = np.c_[data.object_keypoints[row], np.ones(4)] @ data.object_to_source[row].T
        np.testing.assert_allclose(
            points, [[nose, 20], [nose + 2, 20], [nose, 30], [tail, 40]], atol=1e-9
        )
        assert data.image(row).size == tuple(data.object_size[row])


@pytest.mark.parametrize("path", files("dense"), ids=lambda p: p.name)
def test_a_data_set_with_masks_and_flow_is_read(path: Path):
    data = open_dataset(path)
    assert data.digest == content_digest(path)
    assert (data.name, data.categories) == ("dense", ["car", "face"])
    assert data.keypoint_names == [NAMES[0], NAMES[1][:3]]
    assert data.arrays["category/iod_pair"].tolist() == EYES
    assert data.object_category.tolist() == [0, 1] * 6
    assert data.pairs("test").tolist() == [4, 5, 10, 11]
    assert data.image(3).getpixel((0, 0)) == (10, 20, 30)
    assert data.object_box[3].tolist() == [1.5, 1.5, *(data.object_size[3] - 3.5)]
    mask, flow = data.mask(3), data.flow(0)
    if path.stem == "dense-1a":  # before there were any
        assert mask is None and flow is None
        with pytest.raises(JladkitError, match="the field input/name is missing"):
            input_files(path)
    else:
        assert mask is not None and mask[0, :4].tolist() == [True, False, True, False]
        assert flow is not None and flow[1, 1].tolist() == [1.5, -2.0]
        assert data.flow(1) is None
        assert input_files(path) == {}


@pytest.mark.parametrize("path", [*files("predictions"), *files("shard")], ids=lambda p: p.name)
def test_predictions_are_read(path: Path):
    told = open_predictions(path)
    data = open_dataset(HERE / f"dense-{path.stem.partition('-')[2]}.h5")
    assert (told.method, told.config, told.created) == (
        "oracle", {"seed": 0}, "2020-01-01T00:00:00+00:00")  # fmt: skip
    assert told.seconds_per_item == {"pair": 0.01, "object": 0.02}
    assert told.peak_memory == 1 << 20
    assert told.environment == {"jladkit": "0.1.0"}
    np.testing.assert_array_equal(told.pair_points, true_points(data))
    np.testing.assert_array_equal(told.object_row, range(12))
    if path.stem == "predictions-1a":
        assert told.pair_log_sigma is told.pair_points_back is told.pair_flow is None
        check_belongs(path, told, data, "test")
        return
    np.testing.assert_array_equal(told.pair_log_sigma, np.full((4, 4), -1.25))
    np.testing.assert_array_equal(told.pair_points_back, true_points(data, back=True))
    np.testing.assert_array_equal(told.pair_flow, np.full((4, 2, 3, 4), 7.0))
    np.testing.assert_array_equal(told.pair_flow_back, np.full((4, 2, 4, 3), 8.0))
    if path.stem.startswith("shard"):
        assert told.shard == "0/2"
    else:
        check_belongs(path, told, data, "test")


# Of the truth: every point is right, so that none is worse than it was said to be; its regression on
# eight objects is not perfect.
VALUES = {"pck": [1.0, 1.0, 1.0], "iod": [0.425081], "sparsification": [None, 0.0, None]}
ITEMS = {"pck": 4, "iod": 4, "sparsification": 12}


@pytest.mark.parametrize("path", [*files("pck", "json"), *files("iod", "json"),
                                  *files("sparsification", "json")], ids=lambda p: p.name)  # fmt: skip
def test_results_and_their_items_are_read(path: Path):
    if path.stem == "pck-1a":
        with pytest.raises(JladkitError, match="unknown keys: curve, predictions_digest, statistics"
                           r"\. Make it again: jladkit evaluate"):  # fmt: skip
            read_result(path)
        return
    told = read_result(path)
    kind, _, version = path.stem.partition("-")
    data = open_dataset(HERE / f"dense-{version}.h5")
    assert (told.metric, told.method, told.dataset_digest) == (kind, "oracle", data.digest)
    expected = VALUES[kind]
    assert [row["value"] for row in told.results[: len(expected)]] == pytest.approx(
        expected, abs=1e-6
    )
    assert len(pd.read_parquet(path.with_suffix(".parquet"))) == ITEMS[kind]


@pytest.mark.parametrize("path", files("log"), ids=lambda p: p.name)
def test_a_log_is_read(path: Path):
    records = read_log(path)
    assert [record["step"] for record in records] == [1, 2, 3]
    assert [record.get("validation") for record in records] == [
        None, {"score": 0.5}, {"score": 0.5}]  # fmt: skip
    np.testing.assert_allclose([r["total"] for r in records], [0.403666, 0.432109, 0.031859], atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("path", files("state"), ids=lambda p: p.name)
def test_a_state_is_gone_on_from(path: Path):
    line = Line()
    if path.stem == "state-1a":
        with pytest.raises(JladkitError, match=r"of an early jladkit.*Train anew in another --out"):
            saving.restore(line, path)
        return
    at, moments = saving.restore(line, path)
    assert at == saving.Progress(3, {"score": 0.5}, {"score": (0.5, 2)})
    assert moments["moment/bias/step"] == 3
    torch.testing.assert_close(line.net.bias.data, torch.tensor([-0.1950]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", files("joint"), ids=lambda p: p.name)
def test_a_trained_model_is_loaded_and_finds_its_landmarks(path: Path):
    model = Joint.load(path, torch.device("cpu"))
    assert model.size == 64
    assert model.config["categories"] == ["kind0"]
    since_1c = set() if path.stem == "joint-1b" else {"sigma"}
    assert model.config["best"].keys() == {"pck@0.1", "iod"} | since_1c
    found = model.detect(torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64), ["kind0"])
    assert found.shape == (1, 2, 2)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("path", files("part", "json"), ids=lambda p: p.name)
def test_a_part_of_a_build_is_read(path: Path):
    found, names = shards.read_rest(path)
    assert names == {"cat": ["nose", "tail"]}
    assert (found.left_out, found.missing) == ([("small", "b.jpg")], ["c.jpg"])
    assert found.files[0].name == "a.jpg"
    arrays, pictures = shards.read_objects([path], [names], names)
    assert arrays["object/source_image"].tolist() == ["a.jpg"]
    assert arrays["object/visible"].tolist() == [[True, False]]
    assert pictures.span.tolist() == [[0, found.files[0].size]]


def raise_hdf5(path: Path, schema: int) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = schema


def raise_json(path: Path, schema: int) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": schema}))


def raise_safetensors(path: Path, schema: int) -> None:
    with safe_open(path, "pt") as file:
        beside = file.metadata()
    save_file(load_file(path), path, {**beside, "schema": str(schema)})


FUTURE: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], Any], str]] = {
    "built": (raise_hdf5, open_dataset, "make it again: jladkit build-dataset"),
    "predictions": (raise_hdf5, open_predictions, "make it again: jladkit predict"),
    "pck": (raise_json, read_result, "make it again: jladkit evaluate"),
    "joint": (raise_safetensors, checkpoint.read_label, "train again with this version"),
    "state": (raise_safetensors, lambda path: saving.restore(Line(), path), "train again with"),
}


@pytest.mark.parametrize("kind", FUTURE)
def test_a_file_of_a_future_version_is_refused_and_what_to_do_is_said(kind: str, tmp_path: Path):
    change, read, way = FUTURE[kind]
    newest = [path for path in files(kind) if path.suffix != ".parquet"][-1]
    path = Path(shutil.copy(newest, tmp_path))
    schema = SCHEMAS[kind]
    change(path, schema + 1)
    words = f"has schema {schema + 1}, this jladkit reads {schema}. A newer jladkit wrote it: "
    with pytest.raises(JladkitError) as refused:
        read(path)
    assert f"{words}install that, or {way}" in str(refused.value)
