"""Nothing that is read runs code, leads out of its place, or fills the memory."""

import ast
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny import tiny_dataset

from jladkit.errors import JladkitError
from jladkit.formats.dataset import open_dataset
from jladkit.formats.masks import decode_mask
from jladkit.formats.outside import read_predictions
from jladkit.formats.pictures import MOST_PIXELS, open_encoded
from jladkit.formats.result import read_result
from jladkit.model.backbones import read_state
from jladkit.training.official import read_official
from jladkit.training.own import open_picture
from jladkit.training.prediction import load_method
from jladkit.training.recipe import read_recipe
from tests.builders.layouts import build_coco, coco_content, coco_root, picture
from tests.builders.layouts_faces import as_tar, mtfl_root
from tests.test_layout import FOLDERS, sources

RUNS_CODE = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "joblib.load", "pd.read_pickle", "marshal.loads", "shelve.open", "yaml.load", "torch.jit.load",
    "torch.hub.load", "dill.loads", "cloudpickle.loads",
}  # fmt: skip
SAYS_NO = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def calls(path: Path) -> list[ast.Call]:
    """Every call in a file."""
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_code_of_ours_unpickles_or_evaluates(folder: str):
    for path in sources(folder):
        for call in calls(path):
            name = ast.unparse(call.func)
            assert name not in RUNS_CODE, f"{path}:{call.lineno} calls {name}"
            given = {
                k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)
            }
            assert given.get("shell") is not True, f"{path}:{call.lineno} starts a shell"
            if name in SAYS_NO:
                key, value = SAYS_NO[name]
                assert given.get(key) is value, f"{path}:{call.lineno} lacks {key}={value}"


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("read", [read_official, read_state])
def test_a_checkpoint_that_would_run_a_command_is_refused(tmp_path: Path, read: Any, zipped: bool):
    path, sprung = tmp_path / "a.pth.tar", tmp_path / "sprung"
    saved = {"state_dict": {"a": torch.zeros(1)}, "args": Trap(sprung)}
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(JladkitError, match="cannot be read"):
        read(path)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))  # the trap is one
    assert sprung.exists()


def test_a_checkpoint_does_not_choose_what_is_imported(tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('sprung', 'w')\nclass Method: pass\n")
    label = json.dumps({"method": "evil:Method"})
    metadata = {"format": "jladkit-checkpoint", "schema": "1", "label": label}
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata)
    with pytest.raises(JladkitError, match="evil:Method"):
        load_method(None, None, tmp_path / "model.safetensors", torch.device("cpu"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/secret.jpg", "a/../../secret.jpg"])
def test_a_path_out_of_the_folder_is_left_out(tmp_path: Path, name: str):
    content = coco_content()
    root = coco_root(tmp_path / "deep/coco", content)
    picture(tmp_path / "secret.jpg")
    content["images"][0]["file_name"] = name
    (root / "annotations.json").write_text(json.dumps(content))
    data = build_coco(root, tmp_path / "a.h5")
    assert data.source["left_out"]["file_name leads out of the picture folder"] == 1
    assert not any("secret" in image for image in data.object_source_image)


def test_a_record_of_matlab_names_pictures_of_its_own_folder_alone(tmp_path: Path):
    from jladkit.builders.pascal3d import find_picture

    record = type("Record", (), {"filename": "../../../etc/passwd"})()
    assert find_picture(tmp_path, record, "a") == tmp_path / "passwd"


def test_members_of_a_tar_that_lead_elsewhere_are_never_followed(tmp_path: Path):
    from jladkit.builders import mtfl
    from jladkit.builders.options import Job

    inside = tmp_path / "inside"
    inside.mkdir()
    path = as_tar(mtfl_root(inside, aflw=8), tmp_path / "faces.tar")
    (tmp_path / "secret.jpg").write_bytes((inside / "AFLW/000.jpg").read_bytes())
    with tarfile.open(path, "a") as tar:
        for name, kind in (("../out.txt", tarfile.REGTYPE), ("/abs.txt", tarfile.REGTYPE),
                           ("AFLW/link.jpg", tarfile.SYMTYPE)):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "secret.jpg")
            tar.addfile(member)
    before = {p for p in tmp_path.rglob("*")}
    mtfl.build(path, mtfl.Options(), Job(out=tmp_path / "a.h5"))
    new = {p.name for p in tmp_path.rglob("*")} - {p.name for p in before}
    assert new == {"a.h5", "a.card.md", "a.croissant.json"}
    assert not any("secret" in name for name in open_dataset(tmp_path / "a.h5").object_source_image)


def test_pipes_and_devices_in_place_of_files_are_left_out_and_not_waited_for(tmp_path: Path):
    root = coco_root(tmp_path / "coco")
    for name in ("00.jpg", "01.jpg"):
        (root / "images" / name).unlink()
    os.mkfifo(root / "images/00.jpg")
    (root / "images/01.jpg").symlink_to("/dev/zero")
    os.mkfifo(root / "x.json")
    data = build_coco(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"no file": 2}


def test_a_link_out_of_the_root_gives_a_whole_picture_or_nothing(tmp_path: Path):
    root = coco_root(tmp_path / "coco")
    (tmp_path / "secret.txt").write_text("password")
    (root / "images/00.jpg").unlink()
    (root / "images/00.jpg").symlink_to(tmp_path / "secret.txt")
    data = build_coco(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"picture broken": 1}
    assert b"password" not in (tmp_path / "a.h5").read_bytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [int(MOST_PIXELS**0.5) + 1, 12_000, 20_000, 2**31 - 1])
def test_a_picture_that_claims_too_many_pixels_is_refused(tmp_path: Path, side: int):
    raw = claiming(side, side)
    for read in (open_encoded, decode_mask):
        with pytest.raises((ValueError, OSError)):
            read(raw)
    (tmp_path / "bomb.png").write_bytes(raw)
    with pytest.raises(JladkitError, match=r"pixels|picture"):
        open_picture(tmp_path / "bomb.png")
    root = coco_root(tmp_path / "coco")
    (root / "images/00.jpg").write_bytes(raw)
    data = build_coco(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"picture broken": 1}


def test_the_largest_picture_that_is_read_fits_a_gigabyte(tmp_path: Path):
    side = int(MOST_PIXELS**0.5)
    Image.fromarray(np.zeros((side, side), np.uint16)).save(tmp_path / "a.png")
    code = (
        "import resource; from pathlib import Path; from jladkit.builders import crops\n"
        "path = Path('a.png'); raw = path.read_bytes()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "crops.open_picture(path, raw).decode()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(),
                          capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    assert int(done.stdout) < 1 << 20  # KiB


def environment() -> dict[str, str]:
    """For a process that is started elsewhere: this checkout is the one to import."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_postscript_is_not_handed_to_an_interpreter(tmp_path: Path):
    raw = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(sprung) (w) file\nshowpage\n"
    (tmp_path / "a.jpg").write_bytes(raw)
    assert Image.open(io.BytesIO(raw)).format == "EPS"  # Pillow alone would
    with pytest.raises(JladkitError, match="must be a picture"):
        open_picture(tmp_path / "a.jpg")
    raised = np.frombuffer(raw, np.uint8)
    spans = np.tile([0, len(raw)], (60, 1))
    data = tiny_dataset(tmp_path / "a.h5", object_image_bytes=raised, object_image_span=spans)
    with pytest.raises(JladkitError, match="picture of object 0 is broken"):
        data.image(0)


def changed(path: Path, name: str, **how: Any) -> Path:
    """A tiny data set whose field `name` was made anew by h5py."""
    tiny_dataset(path)
    with h5py.File(path, "r+") as file:
        values: Any = file[name][()]  # pyright: ignore[reportIndexIssue]
        del file[name]
        if "link" in how:
            file[name] = how["link"]
        else:
            shape = how.pop("shape", values.shape)
            file.create_dataset(name, shape, values.dtype, **how)
    return path


def test_a_field_that_is_a_link_is_refused_before_it_is_followed(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    for number, link in enumerate((
        h5py.ExternalLink(str(tmp_path / "pipe"), "/x"), h5py.ExternalLink("/dev/zero", "/x"),
        h5py.SoftLink("/object/size"), h5py.SoftLink("/object/box"),
    )):  # fmt: skip
        path = changed(tmp_path / f"{number}.h5", "object/box", link=link)
        with pytest.raises(JladkitError, match="object/box points outside the file"):
            open_dataset(path)


def test_a_group_that_is_a_link_is_refused_too(tmp_path: Path):
    tiny_dataset(tmp_path / "other.h5")
    path = tiny_dataset(tmp_path / "a.h5").path
    with h5py.File(path, "r+") as file:
        del file["pair"]
        file["pair"] = h5py.ExternalLink("other.h5", "/pair")
    with pytest.raises(JladkitError, match="pair points outside"):
        open_dataset(path)


def test_a_field_whose_bytes_lie_in_another_file_is_refused(tmp_path: Path):
    (tmp_path / "secret").write_bytes(bytes(60 * 4 * 8))
    outside = [(str(tmp_path / "secret"), 0, 60 * 4 * 8)]
    path = changed(tmp_path / "a.h5", "object/box", external=outside)
    with pytest.raises(JladkitError, match="points outside the file"):
        open_dataset(path)


@pytest.mark.parametrize("source", ["/etc/x.h5", "../x.h5", "other.h5", "x.shards/../../x.h5"])
def test_a_virtual_field_from_elsewhere_is_refused(tmp_path: Path, source: str):
    assert virtual(tmp_path, source, "image_bytes") == "points outside the file"


def virtual(folder: Path, source: str, inside: str) -> str:
    """What the refusal of a data set whose pictures lie in `source` says."""
    path = tiny_dataset(folder / "a.h5").path
    with h5py.File(path, "r+") as file:
        shape = file["object/image_bytes"].shape  # pyright: ignore[reportAttributeAccessIssue]
        del file["object/image_bytes"]
        layout = h5py.VirtualLayout(shape, np.uint8)
        layout[:] = h5py.VirtualSource(source, inside, shape)
        file.create_virtual_dataset("object/image_bytes", layout)
    with pytest.raises(JladkitError) as caught:
        open_dataset(path)
    said = str(caught.value)
    return next(
        (w for w in ("points outside the file", "must hold image_bytes itself") if w in said), said
    )


def test_a_shard_that_has_its_pictures_from_elsewhere_is_refused(tmp_path: Path):
    (tmp_path / "a.shards").mkdir()
    with h5py.File(tmp_path / "a.shards/0.h5", "w") as file:
        file["image_bytes"] = h5py.ExternalLink("/etc/passwd", "/x")
    assert virtual(tmp_path, "a.shards/0.h5", "image_bytes") == "must hold image_bytes itself"


def test_a_field_that_claims_more_than_is_stored_is_refused(tmp_path: Path):
    path = changed(tmp_path / "a.h5", "object/image_bytes", shape=(1 << 45,), chunks=(1 << 20,))
    with pytest.raises(JladkitError, match="claims 35184372088832 bytes, but only 0 are stored"):
        open_dataset(path)
    path = tmp_path / "theirs.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("pair/points", (1 << 30, 4, 2), "f8", chunks=(1024, 4, 2),
                            compression="gzip")  # fmt: skip
    with pytest.raises(JladkitError, match="claims 68719476736 bytes"):
        read_predictions(path, tiny_dataset(tmp_path / "b.h5"), "test")


def test_a_recipe_of_a_hundred_megabytes_is_refused_unread(tmp_path: Path):
    path = tmp_path / "a.toml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(JladkitError, match="that is no recipe"):
        read_recipe("joint", str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


def test_texts_that_are_nested_too_deeply_are_refused(tmp_path: Path):
    deep = "[" * 200_000 + "]" * 200_000
    (tmp_path / "a.toml").write_text(f"[model]\nx = {deep}\n")
    with pytest.raises(JladkitError, match=r"a\.toml is not TOML"):
        read_recipe("joint", str(tmp_path / "a.toml"))
    (tmp_path / "a.json").write_text(f'{{"a": {deep}}}')
    with pytest.raises(JladkitError, match="is not JSON"):
        read_result(tmp_path / "a.json")
    root = coco_root(tmp_path / "coco")
    (root / "annotations.json").write_text(f'{{"images": {deep}}}')
    with pytest.raises(JladkitError, match="is not JSON"):
        build_coco(root, tmp_path / "a.h5")


def test_a_data_set_does_not_choose_where_another_is_built_nor_by_whom(tmp_path: Path):
    from jladkit.builders.options import recipe_options

    data = build_coco(coco_root(tmp_path / "coco"), tmp_path / "a.h5")
    told = {**data.recipe, "options": {**data.recipe["options"], "out": "/x", "overwrite": True,
                                       "scheduler": "tcp://stranger:8786"}}  # fmt: skip
    with h5py.File(data.path, "r+") as file:
        file.attrs["recipe"] = json.dumps(told)
    assert recipe_options(data.path, "coco") == data.recipe["options"]


def refused_checkpoint(folder: Path, **model: object) -> str:
    """Why a checkpoint with this [model] is refused, in its own words."""
    label = json.dumps({"method": "joint", "config": {"model": model}, "categories": ["a"]})
    metadata = {"format": "jladkit-checkpoint", "schema": "1", "label": label}
    save_file({"a": torch.zeros(1)}, folder / "model.safetensors", metadata)
    with pytest.raises(JladkitError, match="does not fit") as caught:
        load_method(None, None, folder / "model.safetensors", torch.device("cpu"))
    return str(caught.value.__cause__)


def test_a_checkpoint_names_no_backbone_that_is_elsewhere(tmp_path: Path):
    why = refused_checkpoint(tmp_path, backbone="hf-hub:stranger/net", layers=["x"], size=64)
    assert "no backbone of timm's own" in why


def test_a_checkpoint_claims_no_network_larger_than_its_tensors(tmp_path: Path):
    why = refused_checkpoint(tmp_path, layers=["blocks.2"], size=64, width=160_000)  # 900 GB
    assert "not those of its config" in why
