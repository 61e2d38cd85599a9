"""Several processes take the steps of one: same gradients, log and checkpoints, one writer."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jladkit.errors import JladkitError, Stopped, UsageError
from jladkit.formats.dataset import Dataset
from jladkit.formats.log import LOG, read_log
from jladkit.model import losses
from jladkit.training import loop, ranks
from jladkit.training.checkpoint import read_checkpoint
from jladkit.training.joint_recipe import SECTIONS
from jladkit.training.joint_trainee import JointTrainee
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=64", "model.layers=['blocks.2']", "model.width=16", "model.landmarks=3",
    "model.radius=3", "train.batch=5", "train.synthetic_steps=3", "train.rounds=1",
    "train.align_steps=3", "train.detect_steps=3", "train.validate_every=4",
    "train.precision='float32'", "train.warps=1", "loss.anchors=1.0", "loss.noise=1.0",
    "model.consensus=5",
]  # fmt: skip
FORMS = [
    [],
    ["loss.joint=printed", "loss.over_cells=sum", "train.warps=0"],
    ["train.backbone_from=blocks.2", "loss.joint=coordinates", "loss.identity=1.0"],
]


def trainee(data: Dataset, *settings: str) -> JointTrainee:
    config = fill(SECTIONS, read_recipe("joint", "cpu", [*TINY, *settings]))
    return JointTrainee(data, config, CPU, None, progress=False)


def in_processes(count: int, work: Callable[[int], object]) -> list[int]:
    """`work(rank)` in copies of this process that find one another as torchrun's do.

    Returns:
        The exit code of each: 0, or 1 where it raised.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children: list[int] = []
    for rank in range(count):
        child = os.fork()
        if not child:
            code = 1
            try:
                torch.set_num_threads(1)
                os.environ.update(
                    RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count),
                    MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                )  # fmt: skip
                with ranks.joined("cpu"):
                    work(rank)
                code = 0
            except (JladkitError, AssertionError, RuntimeError, OSError) as error:
                print(f"rank {rank}: {error!r}", file=sys.stderr)
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def gradients(data: Dataset, settings: list[str]) -> dict[str, torch.Tensor]:
    """Of two steps of each phase, as shares of the whole gradient's norm; and the loss's terms.

    By plain descent: Adam's first step goes as far along a gradient that is all rounding as along any,
    so that two orders of the same sum part at once.
    """
    torch.set_num_threads(1)
    tiny, found = trainee(data, *settings), {}
    for phase in tiny.phases():
        named = dict(tiny.parameters(phase))
        loop.freeze_all_but(tiny.net, named)
        optimiser = loop.optimiser_of(replace(phase, optimiser="sgd"), named)
        for step in range(2):
            terms = loop.one_step(tiny, phase, optimiser, named, 0, step)
            own = f"{phase.name}/{step}"
            found |= {f"{own}/{k}": torch.tensor(v) for k, v in terms.items()}
            moved = {k: p.grad for k, p in named.items() if p.grad is not None}
            norm = torch.stack([gradient.norm() for gradient in moved.values()]).norm()
            found |= {f"{own}/{k}": gradient / norm for k, gradient in moved.items()}
    return found


@pytest.mark.parametrize(
    ("settings", "count"),
    list(zip(FORMS, (2, 3, 2), strict=True)),
    ids=["normalised", "printed", "trained"],
)
def test_shares_of_a_batch_give_the_gradients_and_the_terms_of_the_whole(
    dots: Dataset, tmp_path: Path, settings: list[str], count: int
):
    """A batch of five is uneven among two and among three."""
    whole = gradients(dots, settings)

    def work(rank: int) -> None:
        torch.save(gradients(dots, settings), tmp_path / str(rank))

    assert in_processes(count, work) == [0] * count
    for rank in range(count):
        shared = torch.load(tmp_path / str(rank), weights_only=True)
        assert shared.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(shared[name], value, rtol=1e-5, atol=1e-5, msg=name)
    assert sum("weight" in name and value.norm() > 0.1 for name, value in whole.items()) > 6


def run(data: Dataset, out: Path, count: int, **options: Any) -> None:
    """Train in `count` processes, or in this one."""

    def work(rank: int) -> None:
        loop.train(trainee(data), out, seed=0, validate_every=4, progress=False, **options)

    if count == 1:
        work(0)
    else:
        assert in_processes(count, work) == [0] * count


def same(one: Path, other: Path) -> None:
    """Two runs have gone the same way, but for rounding."""
    logs = [read_log(folder / LOG) for folder in (one, other)]
    assert len(logs[0]) == len(logs[1]) == 9
    for a, b in zip(*logs, strict=True):
        assert (a["step"], a["phase"], "validation" in a) == (
            b["step"],
            b["phase"],
            "validation" in b,
        )
        assert a["total"] == pytest.approx(b["total"], rel=1e-3)
    for name in (loop.STATE, loop.MODEL):
        (a, label), (b, other_label) = (read_checkpoint(folder / name) for folder in (one, other))
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(a[key], b[key], rtol=1e-2, atol=1e-3, msg=key)
        assert label["config"] == other_label["config"]


def test_a_run_goes_on_in_another_number_of_processes(dots: Dataset, tmp_path: Path):
    whole = tmp_path / "whole"
    run(dots, whole, 1)
    for before, after in ((1, 3), (2, 1)):
        out = tmp_path / f"{before}-{after}"
        run(dots, out, before, stop_after=4)
        assert len(read_log(out / LOG)) == 4
        run(dots, out, after, resume=True)
        assert sorted(os.listdir(out)) == sorted(os.listdir(whole))
        same(whole, out)


def test_one_that_dies_ends_the_others_with_words_and_the_checkpoint_is_kept(
    dots: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    def work(rank: int) -> None:
        tiny = trainee(dots)
        loss = tiny.loss

        def dying(phase: loop.Phase, generator: Any) -> Any:
            if rank == 1 and phase.name == "align":
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(phase, generator)

        tiny.loss = dying
        loop.train(tiny, tmp_path, seed=0, validate_every=4, progress=False)

    assert in_processes(2, work) == [1, -signal.SIGKILL]
    assert (
        'rank 0: JladkitError("Another process of this training is gone' in capfd.readouterr().err
    )
    assert read_checkpoint(tmp_path / loop.STATE)[1]["progress"]["step"] == 3
    run(dots, tmp_path, 1, resume=True)
    assert len(read_log(tmp_path / LOG)) == 9


def test_a_signal_to_one_stops_all_after_the_same_step(dots: Dataset, tmp_path: Path):
    def work(rank: int) -> None:
        tiny = trainee(dots)
        loss = tiny.loss

        def interrupted(phase: loop.Phase, generator: Any) -> Any:
            if rank == 1 and phase.name == "align":
                signal.raise_signal(signal.SIGTERM)
            return loss(phase, generator)

        tiny.loss = interrupted
        with pytest.raises(Stopped, match="Stopped after step 4 of 9") as stopped:
            loop.train(tiny, tmp_path, seed=0, validate_every=9, progress=False)
        assert stopped.value.exit_code == 128 + signal.SIGTERM

    assert in_processes(2, work) == [0, 0]
    assert read_checkpoint(tmp_path / loop.STATE)[1]["progress"]["step"] == 4


def test_a_loss_that_is_not_finite_in_one_share_is_named_by_all(dots: Dataset, tmp_path: Path):
    def work(rank: int) -> None:
        tiny = trainee(dots)
        loss = tiny.loss

        def broken(phase: loop.Phase, generator: Any) -> Any:
            terms = loss(phase, generator)
            if rank == 1 and phase.name == "align":
                terms["total"] = terms["total"] * float("nan")
            return terms

        tiny.loss = broken
        with pytest.raises(JladkitError, match="not finite at step 4, phase align"):
            loop.train(tiny, tmp_path, seed=0, validate_every=4, progress=False)

    assert in_processes(2, work) == [0, 0]


def test_a_second_training_is_refused_and_none_waits_for_it(dots: Dataset, tmp_path: Path):
    run(dots, tmp_path, 1, stop_after=1)
    begun = time.monotonic()

    def work(rank: int) -> None:
        loop.train(trainee(dots), tmp_path, seed=0, validate_every=4, progress=False)

    assert in_processes(2, work) == [1, 1]
    assert time.monotonic() - begun < 60


def test_too_small_a_batch_and_methods_of_one_process_are_refused(dots: Dataset, tmp_path: Path):
    def small(rank: int) -> None:
        with pytest.raises(UsageError, match="number of processes, 2, but is 1"):
            tiny = trainee(dots, "train.batch=1")
            loop.train(tiny, tmp_path, seed=0, validate_every=4, progress=False)

    def alone(rank: int) -> None:
        tiny = trainee(dots)
        del tiny.batch  # as the baselines, which have none
        with pytest.raises(UsageError, match="joint is trained in one process"):
            loop.train(tiny, tmp_path, seed=0, validate_every=4, progress=False)

    assert in_processes(2, small) == in_processes(2, alone) == [0, 0]
    assert not list(tmp_path.iterdir())


def test_the_anchors_of_shares_are_a_mean_over_the_valid_cells_of_all():
    """Three valid cells in one picture, one in the other: the mean of means would be another."""
    field, true = torch.zeros(2, 2, 2, 2), torch.zeros(2, 2, 2, 2)
    true[0], true[1] = 1.0, 3.0  # squared distances 2 and 18
    valid = torch.tensor([[[1, 1], [1, 0]], [[1, 0], [0, 0]]], dtype=torch.bool)
    whole = losses.anchor_loss(field, true, valid)
    assert whole.item() == pytest.approx((3 * 2 + 18) / 4)
    parts = [
        losses.anchor_loss(field[i], true[i], valid[i], torch.tensor(4 / 2))
        for i in (slice(0, 1), slice(1, 2))
    ]
    assert (parts[0] / 2 + parts[1] / 2).item() == pytest.approx(whole.item())


def test_torchrun_trains_and_one_process_talks(dots_path: Path, tmp_path: Path):
    out = tmp_path / "run"
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
             "-m", "jladkit", "train", "--data", dots_path, "--method", "joint", "--out", out,
             "--cache", tmp_path / "maps", "--quiet"]  # fmt: skip
    words += [word for setting in TINY for word in ("--set", setting)]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Best weights:") == 1
    lines = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert len(list((tmp_path / "maps").iterdir())) == 2
