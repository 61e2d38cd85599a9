"""The shared loop: the same bytes again, splits that hold, refusals that leave nothing behind."""

import functools
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from jladkit.builders import build, pairing, pairs, pascal3d
from jladkit.builders.options import Job, recipe_options
from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import content_digest, open_dataset
from tests.builders.layouts import (
    build_pascal3d,
    pascal3d_root,
    thing,
    viewpoint,
    write_record,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Seventy cars and a few boats: enough to start workers."""
    folder = tmp_path_factory.mktemp("release")
    return pascal3d_root(pascal3d_root(folder, 70), 20, category="boat")


def test_the_same_call_gives_the_same_bytes_on_any_workers_and_place(root, tmp_path):
    elsewhere = tmp_path / "moved"
    shutil.copytree(root, elsewhere)
    for place, name, workers in ((root, "a", 1), (root, "b", 2), (elsewhere, "c", 1)):
        pascal3d.build(place, pascal3d.Options(), Job(out=tmp_path / name, workers=workers))
    first = (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes() == first
    assert (tmp_path / "c").read_bytes() == first
    assert str(root).encode() not in first


def test_another_seed_draws_other_pairs(root, tmp_path):
    first, other = (build_pascal3d(root, tmp_path / f"{s}.h5", seed=s) for s in (0, 1))
    assert first.digest != other.digest
    assert first.source["digest"] == other.source["digest"]


def test_no_picture_is_in_two_splits_and_pairs_are_70_20_10(root, tmp_path):
    data = build_pascal3d(root, tmp_path / "a.h5", pairs=100)
    image, split = data.object_source_image, data.object_split
    assert all(len(set(split[image == name])) == 1 for name in set(image))
    np.testing.assert_array_equal(data.pair_split, split[data.pair_source])
    np.testing.assert_array_equal(data.pair_split, split[data.pair_target])
    shares = np.bincount(data.pair_split) / len(data.pair_split)
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.01)
    assert set(data.source["leakage"]) == {"train-val", "train-test", "val-test"}
    assert all(not any(shared.values()) for shared in data.source["leakage"].values())
    assert np.bincount(data.pair_split[data.pair_category == 1]).tolist() == [70, 20, 10]


def test_a_split_by_pair_says_how_much_it_leaks(root, tmp_path, capsys):
    data = build_pascal3d(root, tmp_path / "a.h5", split_by="pair", pairs=200)
    shared = data.source["leakage"]["train-test"]
    assert shared["pairs_with_seen_image"] > 0.5
    assert shared["pairs"] == 0
    assert (
        f"train-test: {shared['images']} pictures and 0 pairs are in both"
        in capsys.readouterr().err
    )
    assert np.bincount(data.object_split).min() > 0


def test_pairs_agree_in_viewpoint_and_stand_once(tmp_path):
    for i, azimuth in enumerate(np.linspace(0, 350, 36)):
        view = viewpoint(azimuth=float(azimuth), elevation=float(i % 3 * 8))
        write_record(tmp_path / "in", f"car_imagenet/n{i:02}", thing(viewpoint=view))
    data = build_pascal3d(tmp_path / "in", tmp_path / "a.h5")
    turn = np.abs(
        np.diff(data.object_viewpoint[np.stack([data.pair_source, data.pair_target]), 0], axis=0)
    )
    assert np.minimum(turn, 360 - turn).max() <= 20
    assert (turn > 180).any()  # some wrap around
    both = np.sort(np.stack([data.pair_source, data.pair_target]), axis=0).T
    assert len(np.unique(both, axis=0)) == len(both)
    assert (data.pair_common == 4).all()


def test_leaving_a_category_out_changes_no_other(root, tmp_path):
    whole = build_pascal3d(root, tmp_path / "a.h5")
    cars = build_pascal3d(root, tmp_path / "b.h5", category=("car",))
    mine = whole.pair_category == 1
    for field in ("pair_source", "pair_target"):
        named = [
            data.object_source_image[getattr(data, field)[keep]].tolist()
            for data, keep in ((whole, mine), (cars, slice(None)))
        ]
        assert named[0] == named[1]


def test_the_recipe_holds_every_option_and_no_path(root, tmp_path):
    data = build_pascal3d(root, tmp_path / "a.h5", margin=0.2)
    options = data.recipe["options"]
    assert data.recipe["builder"] == "pascal3d"
    assert options["margin"] == 0.2
    assert options.keys() == {f for f in pascal3d.Options.__dataclass_fields__}
    assert recipe_options(tmp_path / "a.h5", "pascal3d") == options
    with pytest.raises(UsageError, match="was built with 'pascal3d'"):
        recipe_options(tmp_path / "a.h5", "coco")


def test_the_stored_digest_is_that_of_the_contents(root, tmp_path):
    data = build_pascal3d(root, tmp_path / "a.h5")
    assert content_digest(data.path) == data.digest


def test_the_source_digest_sees_every_byte(tmp_path):
    root = pascal3d_root(tmp_path / "in")
    before = build_pascal3d(root, tmp_path / "a.h5").source
    path = root / "Images/car_imagenet/n000.JPEG"
    path.write_bytes(path.read_bytes() + b"\0")
    after = build_pascal3d(root, tmp_path / "b.h5").source
    assert before["digest"] != after["digest"]
    assert before["files"] == 16


def test_a_file_that_exists_is_kept(tmp_path):
    root = pascal3d_root(tmp_path / "in", 4)
    (tmp_path / "a.h5").write_text("mine")
    with pytest.raises(UsageError, match=r"a\.h5 exists\. Give --overwrite"):
        build_pascal3d(root, tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_text() == "mine"


def test_no_pairs_at_all_is_an_error_that_leaves_nothing(tmp_path):
    for i in range(4):
        view = viewpoint(azimuth=90.0 * i)
        write_record(tmp_path / "in", f"car_imagenet/n{i}", thing(viewpoint=view))
    with pytest.raises(JladkitError, match=r"No pairs for car: .*Widen"):
        build_pascal3d(tmp_path / "in", tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_category_without_pairs_stays_unless_strict(tmp_path):
    root = pascal3d_root(tmp_path / "in")
    write_record(root, "boat_imagenet/n0", thing(**{"class": "boat"}))
    data = build_pascal3d(root, tmp_path / "a.h5")
    assert data.categories == ["boat", "car"]
    assert (data.pair_category == 1).all()
    with pytest.raises(JladkitError, match="No pairs for boat"):
        build_pascal3d(root, tmp_path / "b.h5", strict=True)


def test_the_summary_counts_what_was_left_out(tmp_path, capsys):
    root = pascal3d_root(tmp_path / "in")
    for i in range(3):
        write_record(root, f"car_imagenet/t{i}", thing(truncated=1))
    data = build_pascal3d(root, tmp_path / "a.h5")
    assert data.source["left_out"] == {"truncated": 3}
    said = capsys.readouterr().err
    assert "3  truncated" in said
    assert f"Wrote {tmp_path / 'a.h5'}" in said


def test_a_split_that_stays_empty_is_pointed_out(tmp_path, capsys):
    build_pascal3d(pascal3d_root(tmp_path / "in", 3), tmp_path / "a.h5")
    assert "No pairs in test" in capsys.readouterr().err


def test_shares_must_be_shares():
    with pytest.raises(UsageError, match="--split must be"):
        pascal3d.Options(split=(0, 0, 0))


def test_options_must_be_finite():
    with pytest.raises(UsageError, match="--min-side must be a number, but is nan"):
        pascal3d.Options(min_side=float("nan"))
    with pytest.raises(UsageError, match="--azimuth-tolerance must be a number, but is inf"):
        pascal3d.Options(azimuth_tolerance=float("inf"))


def test_a_recipe_that_was_tampered_with_is_refused(root, tmp_path):
    build_pascal3d(root, tmp_path / "a.h5")
    for options in ("[1]", '{"seed": {}}'):
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file.attrs["recipe"] = f'{{"builder": "pascal3d", "options": {options}}}'
        with pytest.raises(JladkitError, match=r"a\.h5 holds no recipe"):
            recipe_options(tmp_path / "a.h5", "pascal3d")


@pytest.mark.parametrize("split_by", ["image", "pair"])
def test_many_objects_are_sampled_like_few(root, tmp_path, monkeypatch, split_by):
    monkeypatch.setattr(pairs, "MOST_LISTED", 0)
    monkeypatch.setattr(pairing, "TRIES", 1 << 18)
    data = build_pascal3d(root, tmp_path / "a.h5", pairs=100, split_by=split_by, max_uses=40)
    cars = data.pair_category == 1
    assert np.bincount(data.pair_split[cars]).tolist() == [70, 20, 10]
    both = np.sort(np.stack([data.pair_source, data.pair_target]), axis=0).T
    assert len(np.unique(both, axis=0)) == len(both)
    assert np.bincount(both.ravel()).max() <= 40
    if split_by == "image":
        np.testing.assert_array_equal(data.pair_split, data.object_split[data.pair_target])


def test_no_object_is_in_more_pairs_than_the_cap(root, tmp_path):
    data = build_pascal3d(root, tmp_path / "a.h5", max_uses=3)
    counts = np.bincount(np.concatenate([data.pair_source, data.pair_target]))
    assert counts.max() == 3
    shares = np.bincount(data.pair_split[data.pair_category == 1]) / (data.pair_category == 1).sum()
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.02)


def azimuth_differences(data) -> np.ndarray:
    turn = np.abs(np.diff(data.object_viewpoint[[data.pair_source, data.pair_target], 0], axis=0))
    return np.minimum(turn, 360 - turn)[0]


def test_balanced_pairs_differ_little_and_much_as_often(tmp_path):
    random = np.random.default_rng(0)
    for i, azimuth in enumerate(random.normal(0, 10, 150)):  # most lie close together
        view = viewpoint(azimuth=float(azimuth), elevation=0.0)
        write_record(tmp_path / "in", f"car_imagenet/n{i:03}", thing(viewpoint=view))
    spread = {}
    for draw in ("uniform", "balanced"):
        data = build_pascal3d(tmp_path / "in", tmp_path / f"{draw}.h5", pairs=200, draw=draw,
                              split=(1, 0, 0))  # fmt: skip
        spread[draw] = np.histogram(azimuth_differences(data), 10, (0, 20))[0]
    assert spread["balanced"].tolist() == [20] * 10
    assert spread["uniform"].max() > 2 * spread["uniform"].min()


def test_pairs_may_have_to_differ(root, tmp_path):
    data = build_pascal3d(root, tmp_path / "a.h5", min_difference=2.0)
    assert azimuth_differences(data).min() == 2


def test_missing_pictures_stop_the_build_unless_allowed(tmp_path):
    root = pascal3d_root(tmp_path / "in", 12)
    for i in range(5):
        (root / f"Images/car_imagenet/n{i:03}.JPEG").unlink()
    message = r"(?s)5 of the files .* missing:.*n000\.JPEG.*and 2 more.*had from.*--allow-missing"
    with pytest.raises(JladkitError, match=message):
        build_pascal3d(root, tmp_path / "a.h5")
    job = Job(out=tmp_path / "a.h5", allow_missing=True)
    pascal3d.build(root, pascal3d.Options(), job)
    data = open_dataset(tmp_path / "a.h5")
    assert data.source["left_out"] == {"file missing": 5}
    assert len(data.object_category) == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.card.md", "a.croissant.json", "a.h5", "in",
    ]  # fmt: skip


def test_a_build_that_was_stopped_goes_on_where_it_was(root, tmp_path, monkeypatch):
    read, calls = pascal3d.read_record, []

    @functools.wraps(read)
    def counted(name, **more):
        calls.append(name)
        if len(calls) == 50:
            raise KeyboardInterrupt
        return read(name, **more)

    monkeypatch.setattr(pascal3d, "read_record", counted)
    with pytest.raises(KeyboardInterrupt):
        build_pascal3d(root, tmp_path / "a.h5")
    assert (tmp_path / ".a.h5.parts").is_dir()
    # A picture that changed meanwhile is read again.
    changed = root / "Images/car_imagenet/n003.JPEG"
    before = changed.read_bytes()
    changed.write_bytes(before + b"\0")
    try:
        build_pascal3d(root, tmp_path / "a.h5")
        assert len(calls) == 50 + (90 - 48) + 2  # in shards of two
        build_pascal3d(root, tmp_path / "b.h5")
    finally:
        changed.write_bytes(before)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert not (tmp_path / ".a.h5.parts").exists()


KEY = """
from functools import partial
from pathlib import Path
from jladkit.builders import build, coco
from jladkit.builders.options import Job
names = {1: ("cat", ["nose", "left_ear"])}
units = [({"id": k, "file_name": f"{k}.jpg"}, [{"bbox": [0.5, 1, 2, k]}]) for k in range(3)]
read = partial(coco.read_image, folder=Path("in"), names=names, options=coco.Options())
print(build.key_of(units, read, coco.Options(), Job(out=Path("a.h5"))))
"""


def test_another_process_knows_the_parts_of_the_same_build():
    keys = {
        subprocess.run([sys.executable, "-c", KEY], env=os.environ | {"PYTHONHASHSEED": seed},
                       check=True, capture_output=True, text=True).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64


def test_other_options_start_anew(root, tmp_path, monkeypatch):
    read, calls = pascal3d.read_record, []

    @functools.wraps(read)
    def counted(name, **more):
        calls.append(name)
        if len(calls) == 50:
            raise KeyboardInterrupt
        return read(name, **more)

    monkeypatch.setattr(pascal3d, "read_record", counted)
    with pytest.raises(KeyboardInterrupt):
        build_pascal3d(root, tmp_path / "a.h5")
    build_pascal3d(root, tmp_path / "a.h5", margin=0.3)
    assert len(calls) == 50 + 90


def test_a_virtual_data_set_shows_the_same_contents(root, tmp_path):
    plain = build_pascal3d(root, tmp_path / "plain.h5")
    job = Job(out=tmp_path / "virtual.h5", virtual=True)
    assert pascal3d.build(root, pascal3d.Options(), job) == plain.digest
    data = open_dataset(job.out)
    assert content_digest(job.out) == plain.digest
    assert data.encoded(5) == plain.encoded(5)
    assert job.out.stat().st_size < plain.path.stat().st_size
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "virtual.shards").rename(moved / "virtual.shards")
    with pytest.raises(JladkitError, match=r"missing.*Move the folder virtual\.shards"):
        open_dataset(job.out)
    job.out.rename(moved / "virtual.h5")
    assert content_digest(moved / "virtual.h5") == plain.digest


def test_a_virtual_data_set_that_points_elsewhere_is_refused(root, tmp_path):
    job = Job(out=tmp_path / "a.h5", virtual=True)
    pascal3d.build(root, pascal3d.Options(), job)
    layout = h5py.VirtualLayout((9,), np.uint8)
    layout[:] = h5py.VirtualSource("../secret.h5", "x", (9,))
    with h5py.File(job.out, "r+") as file:
        del file["object/image_bytes"]
        file.create_virtual_dataset("object/image_bytes", layout)
    with pytest.raises(JladkitError, match="points outside the file"):
        open_dataset(job.out)


def test_a_rebuild_from_a_recipe_says_which_inputs_differ(tmp_path, capsys):
    root = pascal3d_root(tmp_path / "in", 12)
    build_pascal3d(root, tmp_path / "a.h5")
    job = Job(out=tmp_path / "b.h5", recipe_from=tmp_path / "a.h5")
    pascal3d.build(root, pascal3d.Options(), job)
    assert "The 24 input files are those that" in capsys.readouterr().err
    (root / "Annotations/car_imagenet/n000.mat").unlink()
    changed = root / "Images/car_imagenet/n005.JPEG"
    changed.write_bytes(changed.read_bytes() + b"\0")
    write_record(root, "car_imagenet/x000", thing())
    pascal3d.build(root, pascal3d.Options(), Job(out=tmp_path / "c.h5", recipe_from=job.out))
    said = capsys.readouterr().err
    assert "1  changed: Images/car_imagenet/n005.JPEG" in said
    assert "2  new: Annotations/car_imagenet/x000.mat, Images/car_imagenet/x000.JPEG" in said
    assert "2  gone: Annotations/car_imagenet/n000.mat, Images/car_imagenet/n000.JPEG" in said


def test_dask_workers_build_the_same_file(root, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")
    here = build_pascal3d(root, tmp_path / "a.h5")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        job = Job(out=tmp_path / "b.h5", scheduler=cluster.scheduler_address)
        pascal3d.build(root, pascal3d.Options(), job)
    assert (tmp_path / "b.h5").read_bytes() == here.path.read_bytes()


def test_a_scheduler_that_does_not_answer_is_said(root, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    monkeypatch.setattr(build, "PATIENCE", "1s")
    job = Job(out=tmp_path / "b.h5", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(JladkitError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        pascal3d.build(root, pascal3d.Options(), job)
