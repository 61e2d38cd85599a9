"""What ends a build or a training early, and what is left then."""

import functools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn_dataset
from faults.killing import contents, copy_of_process, kill_builds, kill_trainings, told_of
from fuzz.readers import typed
from tiny import tiny_arrays
from torch import Tensor, nn

from jladkit.builders import coco, join
from jladkit.builders.build import make_shards
from jladkit.builders.options import Job
from jladkit.errors import JladkitError, Stopped, UsageError
from jladkit.formats.dataset import write_dataset
from jladkit.formats.files import check_folder, write_text
from jladkit.formats.locking import alone
from jladkit.formats.predictions import open_predictions
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint, write_checkpoint
from jladkit.training.loop import Kept, Phase
from jladkit.training.saving import LOG, MODEL, STATE
from jladkit.training.store import on_disk
from tests.builders.layouts import coco_content, coco_root


@pytest.mark.parametrize("virtual", [False, True])
def test_a_killed_build_leaves_whole_files_and_goes_on_to_the_same_bytes(
    tmp_path: Path, virtual: bool
):
    tally = kill_builds(tmp_path, 2, 1, virtual)
    assert (tally.kills, tally.wrong) == (2, [])


def test_a_killed_training_goes_on_to_the_same_weights_and_log(tmp_path: Path):
    tally = kill_trainings(tmp_path, 2, 1)
    assert (tally.kills, tally.wrong) == (2, [])


class Line:
    """A trainee of one layer in two phases; `at` gives what happens before a step's loss."""

    def __init__(self, at: dict[int, Callable[[], Any]] | None = None) -> None:
        torch.manual_seed(0)
        self.net, self.at, self.step = nn.Linear(3, 1), at or {}, 0
        self.label: Any = {"method": "line", "config": {}, "dataset_digest": ""}
        self.kept = (Kept("score", True, ("",)),)

    def phases(self) -> list[Phase]:
        return [Phase("first", 5, 0.1), Phase("second", 5, 0.01)]

    def parameters(self, phase: Phase) -> Any:
        return self.net.named_parameters()

    def loss(self, phase: Phase, generator: np.random.Generator) -> dict[str, Tensor]:
        self.step += 1
        done = self.at.get(self.step, lambda: None)()
        x = torch.from_numpy(generator.normal(size=(4, 3))).float()
        term = (self.net(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return {"total": term * (done if isinstance(done, float) else 1.0), "term": term}

    def validate(self, phase: Phase, latest: Any) -> dict[str, float]:
        return {"score": -float(self.net.weight.square().sum())}

    def collapses(self, records: Any) -> list[str]:
        return []


def train(out: Path, trainee: Line, **more: Any) -> Path:
    """A run of ten steps, validated at every third and at the phases' ends."""
    whole: Any = trainee
    return loop.train(whole, out, seed=0, validate_every=3, progress=False, **more)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_a_signal_saves_the_step_and_going_on_is_exact(tmp_path: Path, number: int, step: int):
    train(tmp_path / "whole", Line())
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"Stopped after step {step} of 10.*--resume") as stopped:
        train(tmp_path / "run", Line({step: lambda: os.kill(os.getpid(), number)}))
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    assert read_checkpoint(tmp_path / "run" / STATE)[1]["progress"]["step"] == step
    train(tmp_path / "run", Line(), resume=True)
    assert told_of(tmp_path / "run") == told_of(tmp_path / "whole")


def test_the_command_line_ends_with_the_sentence_and_the_signals_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from jladkit import cli

    def stopped(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(cli.LazyGroup, "invoke", stopped)
    monkeypatch.setattr("sys.argv", ["jladkit", "list"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143
    assert capsys.readouterr().err.strip() == "Stopped."


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_checkpoint(
    tmp_path: Path, value: float
):
    out = tmp_path / "run"
    with pytest.raises(JladkitError, match=r"not finite at step 5, phase first \(total\)"):
        train(out, Line({5: lambda: value}))
    tensors, label = read_checkpoint(out / STATE)
    assert label["progress"]["step"] == 3
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
    train(tmp_path / "whole", Line())
    train(out, Line(), resume=True)
    assert told_of(out) == told_of(tmp_path / "whole")


def test_a_run_that_ends_before_its_first_step_can_be_resumed(tmp_path: Path):
    def broken() -> None:
        raise JladkitError("no picture")

    with pytest.raises(JladkitError, match="no picture"):
        train(tmp_path / "run", Line({1: broken}))
    train(tmp_path / "run", Line(), resume=True)
    train(tmp_path / "whole", Line())
    assert told_of(tmp_path / "run") == told_of(tmp_path / "whole")
    with pytest.raises(JladkitError, match="There is no checkpoint"):
        train(tmp_path / "none", Line(), resume=True)
    assert not (tmp_path / "none").exists()


def test_a_folder_that_vanishes_ends_the_training_with_its_name(tmp_path: Path):
    out = tmp_path / "run"
    with pytest.raises(JladkitError, match=r"run.* is gone: somebody moved or removed"):
        train(out, Line({4: lambda: shutil.rmtree(out)}))


def test_a_second_training_or_build_of_one_output_is_refused(tmp_path: Path):
    out = tmp_path / "run"
    train(out, Line(), stop_after=4)
    root = coco_root(tmp_path / "coco", coco_content(4))
    with alone(out / STATE, "training"), alone(tmp_path / "a.h5", "build"):
        with pytest.raises(UsageError, match=r"Another training is writing .*state\.safetensors"):
            train(out, Line(), resume=True)
        with pytest.raises(UsageError, match=r"Another build is writing .*a\.h5 right now"):
            coco.build(root, coco.Options(), Job(out=tmp_path / "a.h5"))
    train(out, Line(), resume=True)
    coco.build(root, coco.Options(), Job(out=tmp_path / "a.h5"))
    assert not list(tmp_path.rglob(".*"))


def test_a_join_of_an_output_that_is_being_built_is_refused(tmp_path: Path):
    for name in ("a", "b"):
        drawn_dataset(tmp_path / f"{name}.h5", seed=ord(name))
    files = [tmp_path / "a.h5", tmp_path / "b.h5"]
    with alone(tmp_path / "ab.h5", "build"), pytest.raises(UsageError, match="Another build is"):
        join.build(files, tmp_path / "ab.h5")
    join.build(files, tmp_path / "ab.h5")


def test_two_at_once_that_predict_merge_or_score_leave_one_whole_output(tmp_path: Path):
    data, whole = drawn_dataset(tmp_path / "data.h5"), tmp_path / "whole.h5"
    identity = ("predict", "--data", data, "--method", "identity", "--quiet", "--overwrite")
    shards = [tmp_path / f"{number}.h5" for number in range(2)]
    for number, path in enumerate(shards):
        typed(*identity, "--shard", f"{number}/2", "--out", path)()
    typed(*identity, "--out", whole)()
    expected = open_predictions(whole)
    for words in (identity, ("merge-predictions", *shards, "--overwrite")):
        out = tmp_path / f"{words[0]}.h5"
        at_once(typed(*words, "--out", out))
        np.testing.assert_array_equal(open_predictions(out).pair_points, expected.pair_points)
    score = ("evaluate", "--data", data, "--predictions", whole, "--metric", "pck")
    typed(*score, "--out", tmp_path / "alone")()
    at_once(typed(*score, "--out", tmp_path / "both"))
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")
    assert not list(tmp_path.rglob("*.part"))


def at_once(work: Callable[[], Any]) -> None:
    """Do `work` in two copies of this process that begin at the same moment."""
    begin = threading.Barrier(2)

    def one() -> None:
        begin.wait()
        copy_of_process(work)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one) for _ in range(2)]:
            done.result()


def test_a_lock_goes_with_its_process_and_what_it_wrote_aside_too(tmp_path: Path):
    path = tmp_path / "a.h5"
    (tmp_path / ".b.h5.1234.part").write_text("of another file")

    def die() -> None:
        with alone(path, "build"):
            (tmp_path / ".a.h5.1234.part").write_text("half")
            (tmp_path / "begun").write_text("")
            time.sleep(60)

    copy_of_process(die, after=0.5)
    assert (tmp_path / ".a.h5.lock").exists()
    with alone(path, "build"):
        assert not (tmp_path / ".a.h5.1234.part").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.h5.1234.part", "begun"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if (
        not shutil.which("mount")
        or subprocess.run(words, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def dataset(path: Path) -> None:
    """Write a data set that is too large."""
    more = {"object/image_bytes": np.ones(1 << 20, np.uint8)}
    arrays = {**tiny_arrays(), **more, "object/image_span": np.tile([0, 9], (60, 1))}
    write_dataset(path, arrays, name="a", recipe={}, source={})


LARGE: dict[str, Callable[[Path], Any]] = {
    "text": lambda path: write_text(path, "x" * (1 << 20)),
    "dataset": dataset,
    "checkpoint": lambda path: write_checkpoint(path, {"a": torch.ones(1 << 18)}, {}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_full_disk_is_told_and_the_old_file_stays(small_disk: Path, kind: str):
    path = small_disk / "a"
    path.write_text("old")
    with pytest.raises(JladkitError, match=r"a could not be written: .*No space left"):
        LARGE[kind](path)
    assert [p.name for p in small_disk.iterdir()] == ["a"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("kind", LARGE)
def test_a_file_that_may_not_grow_is_told_and_the_old_one_stays(tmp_path: Path, kind: str):
    path = tmp_path / "a"
    path.write_text("old")

    def limited() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        with pytest.raises(JladkitError, match="a could not be written"):
            LARGE[kind](path)

    copy_of_process(limited)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_maps_that_find_no_room_are_an_error_and_no_dead_process(small_disk: Path):
    with pytest.raises(OSError, match="No space left"):
        on_disk(small_disk / "maps.npy", (100, 8, 32, 32))


def test_a_log_that_finds_no_room_ends_the_training_with_a_sentence(small_disk: Path):
    out = small_disk / "run"

    def fill() -> None:
        (small_disk / "other").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))

    with pytest.raises(JladkitError, match=r"No space left|broken off|could not be written"):
        train(out, Line({4: fill}))
    (small_disk / "other").unlink()
    assert read_checkpoint(out / STATE)[1]["progress"]["step"] == 3
    train(out, Line(), resume=True)
    assert len((out / LOG).read_text().splitlines()) == 10
    assert (out / MODEL).is_file()


def test_a_read_only_folder_is_refused_before_the_work(small_disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JladkitError, match="without the right to write"):
        check_folder(small_disk / "run")


def test_a_worker_that_dies_is_told_and_what_was_read_stays(tmp_path: Path):
    units = list(range(80))
    with pytest.raises(JladkitError, match=r"A process that read pictures died.*--workers"):
        make_shards(
            units, functools.partial(os._exit), tmp_path, Job(out=tmp_path / "a", workers=2)
        )  # pyright: ignore
