"""The joint method trained for a few steps: it learns, resumes exactly, and is refused in words."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn_dataset

from jladkit.errors import JladkitError, UsageError
from jladkit.formats.dataset import Dataset, open_dataset
from jladkit.formats.log import read_log
from jladkit.training import loop
from jladkit.training.checkpoint import read_checkpoint, read_label
from jladkit.training.joint import Joint
from jladkit.training.joint_recipe import SECTIONS, margin_for
from jladkit.training.joint_trainee import JointTrainee
from jladkit.training.loading import batch_of
from jladkit.training.recipe import fill, read_recipe

CPU = torch.device("cpu")
TINY = [
    "model.size=64",
    "model.layers=['blocks.2']",
    "model.width=16",
    "model.landmarks=3",
    "model.radius=3",
    "train.batch=4",
    "train.synthetic_steps=4",
    "train.rounds=1",
    "train.align_steps=3",
    "train.detect_steps=3",
    "train.validate_every=5",
    "train.precision='float32'",
    "train.warps=1",
]


def trainee(data: Dataset, *settings: str, cache: Path | None = None) -> JointTrainee:
    config = fill(SECTIONS, read_recipe("joint", "cpu", [*TINY, *settings]))
    return JointTrainee(data, config, CPU, cache, progress=False)


def run(data: Dataset, out: Path, **options: Any) -> Path:
    tiny = trainee(data)
    return loop.train(tiny, out, seed=0, validate_every=5, progress=False, **options)


def test_training_writes_weights_state_and_one_log_line_a_step(dots: Dataset, tmp_path: Path):
    best = Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "run" / loop.LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert [line["phase"] for line in lines] == ["synthetic"] * 4 + ["align"] * 3 + ["detect"] * 3
    assert [line["step"] for line in lines if "validation" in line] == [4, 5, 7, 10]
    _, label = read_checkpoint(best, "joint")
    for score, choose in (("pck@0.1", max), ("iod", min)):
        found = {line["step"]: line["validation"][score] for line in lines if "validation" in line}
        value, step = label["best"][score]
        assert value == choose(found.values()) == found[step]
    assert label["dataset_digest"] == dots.digest


def test_each_side_keeps_its_own_best_weights(dots: Dataset, tmp_path: Path, monkeypatch: Any):
    tiny = trainee(dots)
    scores = iter([(0.5, 0.3, 0.0), (0.6, 0.4, 0.0), (0.4, 0.5, 0.1), (0.4, 0.2, 0.1)])
    taken: list[dict[str, torch.Tensor]] = []

    def validate(phase: loop.Phase, latest: Any) -> dict[str, float]:
        taken.append({name: value.clone() for name, value in tiny.net.state_dict().items()})
        pck, iod, sigma = next(scores)
        return {"pck@0.1": pck, "iod": iod, "sigma": sigma}

    monkeypatch.setattr(tiny, "validate", validate)
    best = loop.train(tiny, tmp_path, seed=0, validate_every=5, progress=False)
    tensors, label = read_checkpoint(best)
    assert label["best"] == {"pck@0.1": [0.6, 5], "iod": [0.2, 10], "sigma": [0.1, 7]}
    for name, value in tensors.items():
        if name.startswith("alignment."):
            assert torch.equal(value, taken[1][name])
        if name.startswith("uncertainty."):
            assert torch.equal(value, taken[2][name])
        if name.startswith("landmarks."):
            assert torch.equal(value, taken[3][name])
    assert any(not torch.equal(taken[1][n], taken[3][n]) for n in taken[1] if "landmarks" in n)


def test_a_backbone_that_moves_is_kept_whole_and_before_it_moves_each_side(
    dots: Dataset, tmp_path: Path, monkeypatch: Any
):
    tiny = trainee(dots, "train.backbone_from=blocks.2")
    scores = iter([(0.5, 0.4), (0.4, 0.3), (0.4, 0.1), (0.6, 0.5), (0.3, 0.1), (0.6, 0.1)])
    taken: list[dict[str, torch.Tensor]] = []

    def validate(phase: loop.Phase, latest: Any) -> dict[str, float]:
        taken.append({name: value.clone() for name, value in tiny.net.state_dict().items()})
        pck, iod = next(scores)
        return {"pck@0.1": pck, "iod": iod, "sigma": 0.0}

    monkeypatch.setattr(tiny, "validate", validate)
    best = loop.train(tiny, tmp_path, seed=0, validate_every=2, progress=False, snapshots=True)
    pretrained, label = read_checkpoint(tmp_path / "after-00-synthetic.safetensors")
    assert label["best"] == {"pck@0.1": [0.5, 2], "sigma": [0.0, 2], "iod": [0.3, 4]}
    for name, value in pretrained.items():
        of = taken[1] if name.startswith("landmarks.") else taken[0]
        assert torch.equal(value, of[name])
    whole, label = read_checkpoint(best)
    assert label["best"] == {"pck@0.1": [0.6, 7]}
    assert all(torch.equal(value, taken[3][name]) for name, value in whole.items())


def test_mirrored_pictures_teach_landmarks_and_not_the_field(dots: Dataset):
    mirrored = trainee(dots, "warp.mirror=1").synthetic_loss(np.random.default_rng(0))
    plain = trainee(dots).synthetic_loss(np.random.default_rng(0))
    assert mirrored["anchors"] == 0 < plain["anchors"]
    assert mirrored["equivariance"] > 0


def test_noise_makes_known_warps_harder_for_the_field_alone_and_comes_from_the_seed(dots: Dataset):
    quiet, loud, again = (
        trainee(dots, f"loss.noise={noise}").synthetic_loss(np.random.default_rng(0))
        for noise in (0, 2, 2)
    )
    assert loud["anchors"] == again["anchors"] > quiet["anchors"]
    assert loud["equivariance"] == quiet["equivariance"]


@pytest.mark.parametrize("stop", [2, 4, 6, 9])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights_and_log(
    dots: Dataset, tmp_path: Path, stop: int
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(dots, whole)
    run(dots, parts, stop_after=stop)
    run(dots, parts, resume=True)
    assert (whole / loop.LOG).read_text() == (parts / loop.LOG).read_text()
    for name in (loop.MODEL, loop.STATE):
        one, other = (read_checkpoint(folder / name)[0] for folder in (whole, parts))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_another_seed_gives_another_run(dots: Dataset):
    one, same, other = (trainee(dots, f"train.seed={s}").net.state_dict() for s in (1, 1, 2))
    key = "alignment.first.0.0.weight"
    assert torch.equal(one[key], same[key])
    assert not torch.equal(one[key], other[key])


def test_each_phase_moves_its_own_networks_only(dots: Dataset):
    tiny = trainee(dots)
    names = {p.name: {n.split(".")[0] for n, _ in tiny.parameters(p)} for p in tiny.phases()}
    assert names == {
        "synthetic": {"alignment", "landmarks"},
        "align": {"alignment", "uncertainty"},
        "detect": {"landmarks"},
    }


def test_a_trained_backbone_joins_both_real_phases_from_the_named_layer_on(dots: Dataset):
    tiny = trainee(dots, "train.backbone_from=blocks.2")
    for phase in tiny.phases():
        moved = [n for n, _ in tiny.parameters(phase) if n.startswith("features.")]
        assert bool(moved) == (phase.name != "synthetic")
        assert all(n.startswith("features.body.blocks.2") for n in moved)
    pairs = np.arange(4)
    loss = tiny.real_loss("align", pairs)["total"]
    loss.backward()
    gradients = [p.grad for n, p in tiny.net.named_parameters() if "blocks.2" in n]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_what_comes_before_a_trained_layer_is_kept_and_gives_the_same_loss(dots: Dataset):
    """Half precision is all that tells the two apart."""
    kept, anew = (trainee(dots, "train.backbone_from=blocks.2", f"train.warps={w}") for w in (1, 0))
    assert kept.features.kept is not None
    assert anew.features.kept is None
    totals = [t.real_loss("align", np.arange(4))["total"] for t in (kept, anew)]
    torch.testing.assert_close(totals[0], totals[1], rtol=1e-3, atol=0)
    totals[0].backward()
    gradients = [p.grad for n, p in kept.net.named_parameters() if "blocks.2" in n]
    assert any(g is not None and g.abs().sum() > 0 for g in gradients)


@pytest.mark.parametrize("form", ["printed", "normalised", "coordinates"])
def test_the_joint_term_teaches_both_sides(dots: Dataset, form: str):
    tiny = trainee(dots, f"loss.joint={form}", "loss.align=[0, 0, 1]", "loss.detect=[0, 0, 1]")
    for phase, part in (("align", "alignment"), ("detect", "landmarks")):
        tiny.net.zero_grad()
        tiny.real_loss(phase, np.arange(4))["total"].backward()
        moved = {n.split(".")[0] for n, p in tiny.net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}  # fmt: skip
        assert part in moved


def test_equivariance_goes_on_in_phase_detect_unless_told_otherwise(dots: Dataset):
    kept, dropped = trainee(dots), trainee(dots, "loss.keep_equivariance=false")
    align, detect = (loop.Phase(name, 1, 1e-3) for name in ("align", "detect"))
    draw = np.random.default_rng
    assert "equivariance" in kept.loss(detect, draw(0))
    assert "equivariance" not in kept.loss(align, draw(0))
    assert "equivariance" not in dropped.loss(detect, draw(0))


def test_anchors_go_on_in_phase_align_where_they_have_a_weight(dots: Dataset):
    phase = loop.Phase("align", 1, 1e-3)
    plain, kept = trainee(dots), trainee(dots, "loss.anchors=7")
    a, b = (t.loss(phase, np.random.default_rng(0)) for t in (plain, kept))
    assert "anchors" not in a
    added = float((b["total"] - a["total"]).detach())
    assert added == pytest.approx(7 * float(b["anchors"].detach()), rel=1e-4)


def test_anchors_weigh_in_pretraining_what_they_are_told(dots: Dataset):
    phase = loop.Phase("synthetic", 1, 1e-3)
    plain, thrice = trainee(dots), trainee(dots, "loss.pretrain_anchors=3")
    a, b = (t.loss(phase, np.random.default_rng(0)) for t in (plain, thrice))
    added = float((b["total"] - a["total"]).detach())
    assert added == pytest.approx(2 * float(a["anchors"].detach()), rel=1e-4)


@torch.inference_mode()
def test_pretraining_without_anchors_leaves_the_field_alone_and_scores_it_once(dots: Dataset):
    tiny, phase = trainee(dots, "loss.pretrain_anchors=0"), loop.Phase("synthetic", 1, 1e-3)
    assert "anchors" not in tiny.loss(phase, np.random.default_rng(0))
    assert {name.split(".")[0] for name, _ in tiny.parameters(phase)} == {"landmarks"}
    marked = {name: -1.0 for name in tiny.validate(phase, {})}
    again = tiny.validate(phase, marked)
    assert [again["pck@0.1"], again["sigma"]] == [-1.0, -1.0]
    assert again["iod"] != -1.0


def test_no_warped_picture_is_computed_that_no_step_draws(dots: Dataset, tmp_path: Path):
    off = ["train.synthetic_steps=0", "loss.keep_equivariance=false"]
    assert not trainee(dots, *off, cache=tmp_path).draws_warps()
    assert len(list(tmp_path.iterdir())) == 1  # the pictures themselves
    for one in ("loss.anchors=1", "loss.keep_equivariance=true", "train.synthetic_steps=1"):
        assert trainee(dots, *off, one).draws_warps()


def test_sums_over_cells_are_means_times_their_number(dots: Dataset):
    pairs, settings = np.arange(4), ["loss.joint='printed'", "model.uncertainty=false"]
    means, sums = (
        trainee(dots, *settings, f"loss.over_cells={kind}").real_loss("detect", pairs)
        | trainee(dots, *settings, f"loss.over_cells={kind}").real_loss("align", pairs)
        for kind in ("mean", "sum")
    )
    cells = trainee(dots).joint.cells
    assert float(sums["alignment"].detach()) == pytest.approx(
        cells**2 * float(means["alignment"].detach()), rel=1e-5
    )
    assert float(sums["joint"].detach()) == pytest.approx(
        (2 * cells) ** 2 * float(means["joint"].detach()), rel=1e-5
    )
    assert float(sums["concentration"].detach()) == pytest.approx(
        float(means["concentration"].detach())
    )


def test_the_relative_form_of_the_joint_loss_knows_no_sums(dots: Dataset):
    one, other = (
        trainee(dots, f"loss.over_cells={k}").real_loss("align", np.arange(4))["joint"]
        for k in ("mean", "sum")
    )
    assert float(one.detach()) == float(other.detach())


def test_synthetic_training_brings_the_field_nearer_to_the_known_warp(dots: Dataset):
    tiny = trainee(dots, "model.field=regress")
    rates = torch.optim.Adam(tiny.net.alignment.parameters(), lr=3e-3)  # pyright: ignore
    errors = []
    for step in range(40):
        loss = tiny.synthetic_loss(np.random.default_rng(step % 2))["anchors"]
        rates.zero_grad()
        loss.backward()
        rates.step()
        errors.append(float(loss.detach()))
    assert errors[-1] < 0.5 * errors[0]


def test_a_run_that_exists_is_not_overwritten_and_another_config_not_resumed(
    dots: Dataset, tmp_path: Path
):
    run(dots, tmp_path / "run", stop_after=2)
    with pytest.raises(UsageError, match="holds a run already"):
        run(dots, tmp_path / "run")
    with pytest.raises(JladkitError, match="made with another config"):
        Joint.train(dots, "cpu", [*TINY, "train.seed=5"], tmp_path / "run", device=CPU, resume=True)
    other = open_dataset(drawn_dataset(tmp_path / "other.h5", seed=1))
    with pytest.raises(JladkitError, match="made with another dataset digest"):
        Joint.train(other, "cpu", TINY, tmp_path / "run", device=CPU, resume=True)


def test_a_run_that_cannot_begin_leaves_no_folder(dots: Dataset, tmp_path: Path):
    with pytest.raises(JladkitError, match="There is no checkpoint"):
        Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, resume=True)
    with pytest.raises(UsageError, match=r"train\.backbone_from: no layer 'blocks\.9'"):
        Joint.train(
            dots, "cpu", [*TINY, "train.backbone_from='blocks.9'"], tmp_path / "run", device=CPU
        )
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tiny = trainee(dots)
    loss = tiny.loss

    def broken(phase: loop.Phase, generator: np.random.Generator) -> dict[str, torch.Tensor]:
        terms = loss(phase, generator)
        nan = terms["total"] * float("nan") if phase.name == "align" else terms["total"]
        return {**terms, "total": nan}

    monkeypatch.setattr(tiny, "loss", broken)
    with pytest.raises(JladkitError, match="not finite at step 5, phase align"):
        loop.train(tiny, tmp_path, seed=0, validate_every=4, progress=False)
    assert (tmp_path / loop.STATE).exists()


def test_a_recipe_without_steps_is_refused_before_a_folder_is_made(dots: Dataset, tmp_path: Path):
    with pytest.raises(UsageError, match="no steps in any phase"):
        Joint.train(
            dots,
            "cpu",
            [*TINY, "train.synthetic_steps=0", "train.rounds=0"],
            tmp_path / "run",
            device=CPU,
            progress=False,
        )
    assert not (tmp_path / "run").exists()


def test_margins_are_the_papers_and_between_them_go_with_one_over_k():
    assert [margin_for(k) for k in (10, 15, 30)] == pytest.approx([0.05, 0.03, 0.02])
    assert margin_for(20) == pytest.approx(0.03 * 15 / 20)


def test_a_trained_model_comes_back_and_says_the_same(dots: Dataset, tmp_path: Path):
    tiny = trainee(dots)
    best = loop.train(tiny, tmp_path, seed=0, validate_every=5, progress=False)
    model = Joint.load(best, CPU)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        points = model.detect(images, ["kind0", "kind0"])
        moved = model.transfer(images, images, points, ["kind0", "kind0"])
    assert points.shape == moved.shape == (2, 3, 2)
    with pytest.raises(JladkitError, match="landmarks for kind0, not for zebra"):
        model.detect(images, ["zebra", "kind0"])


def test_maps_kept_on_disk_are_read_again_and_give_the_same_run(dots: Dataset, tmp_path: Path):
    first = trainee(dots, cache=tmp_path / "cache")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(files) == 2  # of the pictures, and of the warped ones
    again = trainee(dots, "loss.joint='none'", cache=tmp_path / "cache")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == files
    rows = dots.objects("train")[:3]
    for other in (again, trainee(dots)):
        assert torch.equal(first.features(rows), other.features(rows))
        assert torch.equal(
            first.synthetic.warped(np.arange(3)), other.synthetic.warped(np.arange(3))
        )
    trainee(dots, "train.seed=1", cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3  # other warps, the same pictures


def test_a_stored_warp_is_the_picture_warped_by_it(dots: Dataset):
    tiny = trainee(dots, "train.warps=2")
    warp, source, _, _ = tiny.warped_pair(np.random.default_rng(0))
    chosen = np.random.default_rng(0).integers(len(tiny.synthetic.rows), size=4)
    pictures = batch_of(dots, tiny.synthetic.rows[chosen], 64)
    with torch.inference_mode():
        expected = tiny.joint.features(warp.apply(pictures))
    torch.testing.assert_close(source, expected, atol=2e-3, rtol=0)


def test_warps_drawn_anew_and_warps_kept_teach_alike(dots: Dataset):
    for warps in (0, 2):
        terms = trainee(dots, f"train.warps={warps}").synthetic_loss(np.random.default_rng(0))
        assert all(torch.isfinite(term) for term in terms.values())


@pytest.mark.parametrize("phase", ["synthetic", "align", "detect"])
def test_bfloat16_gives_nearly_the_loss_of_float32(dots: Dataset, phase: str):
    losses = [
        trainee(dots, f"train.precision='{precision}'").loss(
            loop.Phase(phase, 1, 1e-3), np.random.default_rng(0)
        )["total"]
        for precision in ("float32", "bfloat16")
    ]
    assert losses[0].dtype == losses[1].dtype == torch.float32
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[0], losses[1], rtol=0.05, atol=0)


def test_the_pull_towards_the_identity_shortens_the_field(dots: Dataset):
    plain, pulled = (
        trainee(dots, "loss.joint='none'", f"loss.identity={w}", "loss.align=[0, 1, 0]")
        for w in (0, 7)
    )
    a, b = (t.real_loss("align", np.arange(4)) for t in (plain, pulled))
    added = float((b["total"] - a["total"]).detach())
    assert added == pytest.approx(7 * float(a["displacement"].detach()), rel=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train.precision", "'half'"),
        ("train.warps", "-1"),
        ("loss.over_cells", "'median'"),
        ("loss.anchors", "-1"),
        ("loss.noise", "-1"),
        ("model.consensus", "-1"),
        ("model.spread", "0"),
    ],
)
def test_settings_that_cannot_be_are_refused(dots: Dataset, field: str, value: str):
    with pytest.raises(UsageError, match=rf"{re.escape(field)} must be"):
        trainee(dots, f"{field}={value}")


def test_snapshots_hold_the_best_weights_up_to_the_end_of_their_phase(
    dots: Dataset, tmp_path: Path
):
    settings = [*TINY, "train.snapshots=true"]
    best = Joint.train(dots, "cpu", settings, tmp_path, device=CPU, progress=False)
    names = ["after-00-synthetic", "after-01-align", "after-02-detect"]
    labels = [read_checkpoint(tmp_path / f"{name}.safetensors")[1] for name in names]
    for label, end in zip(labels, (4, 7, 10), strict=True):
        assert all(step <= end for _, step in label["best"].values())
    last = read_checkpoint(tmp_path / "after-02-detect.safetensors")[0]
    assert all(torch.equal(value, last[name]) for name, value in read_checkpoint(best)[0].items())
    Joint.load(tmp_path / "after-00-synthetic.safetensors", CPU)


def test_a_phase_without_steps_leaves_the_snapshot_of_the_one_before(dots: Dataset, tmp_path: Path):
    settings = [*TINY, "train.snapshots=true", "train.detect_steps=0", "train.rounds=2"]
    Joint.train(dots, "cpu", settings, tmp_path, device=CPU, progress=False)
    names = ("1-align", "2-detect", "3-align", "4-detect")
    one, same, two, again = (tmp_path / f"after-0{n}.safetensors" for n in names)
    assert one.read_bytes() == same.read_bytes()
    assert two.read_bytes() == again.read_bytes()


@torch.inference_mode()
def test_validation_scores_anew_only_what_the_phase_can_have_changed(dots: Dataset):
    tiny, moving = trainee(dots), trainee(dots, "train.backbone_from=blocks.2")
    before = tiny.validate(loop.Phase("synthetic", 1, 1e-3), {})
    marked = {name: -1.0 for name in before}
    align, detect = (tiny.validate(loop.Phase(n, 1, 1e-3), marked) for n in ("align", "detect"))
    assert align == {**before, "iod": -1.0, "spread": -1.0, "distinct": -1.0}
    assert detect == {**before, "pck@0.1": -1.0, "sigma": -1.0}
    assert moving.validate(loop.Phase("align", 1, 1e-3), marked).keys() == before.keys()
    assert -1.0 not in moving.validate(loop.Phase("align", 1, 1e-3), marked).values()


def test_a_run_that_collapses_says_so_while_it_trains(
    dots: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
):
    tiny = trainee(dots)
    monkeypatch.setattr(tiny, "validate", lambda *_: {"pck@0.1": 0.5, "iod": 0.3, "spread": 0.001})
    loop.train(tiny, tmp_path, seed=0, validate_every=5, progress=False)
    assert "Warning: The landmarks do not move at step 4" in capsys.readouterr().err


def test_training_begins_with_the_weights_of_another_run(dots: Dataset, tmp_path: Path):
    first = Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    tensors, _ = read_checkpoint(first)
    for start in (first, tmp_path / "run"):
        begun = trainee(dots, f"train.start='{start}'").net.state_dict()
        assert all(torch.equal(begun[name], value) for name, value in tensors.items())


@pytest.mark.parametrize("recipe", ["tuned", "faces-tuned"])
def test_a_run_that_goes_on_has_the_model_of_the_run_before(
    dots: Dataset, tmp_path: Path, recipe: str
):
    first = Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    own = [setting for setting in TINY if not setting.startswith("model.")]
    told = [*own, f"train.start='{tmp_path / 'run'}'", "train.backbone_from=''", "model.spread=2"]
    after = Joint.train(dots, recipe, told, tmp_path / "next", device=CPU, progress=False)
    before, now = (read_label(path)["config"]["model"] for path in (first, after))
    assert now == {**before, "spread": 2.0}


def test_the_weights_that_a_run_begins_with_are_kept_unless_validation_finds_better_ones(
    dots: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    tensors, _ = read_checkpoint(first)
    worse = trainee(dots, f"train.start='{first}'", "train.synthetic_steps=0")
    monkeypatch.setattr(
        worse,
        "validate",
        lambda *_: (
            {"pck@0.1": 0.0, "iod": 1.0}
            if any(
                not torch.equal(value, tensors[name])
                for name, value in worse.net.state_dict().items()
            )
            else {"pck@0.1": 0.5, "iod": 0.5}
        ),
    )
    kept = loop.train(worse, tmp_path / "next", seed=0, validate_every=5, progress=False)
    after, label = read_checkpoint(kept)
    assert label["best"] == {"pck@0.1": [0.5, 0], "iod": [0.5, 0]}
    assert all(torch.equal(after[name], value) for name, value in tensors.items())
    records = read_log(tmp_path / "next" / "log.jsonl")
    assert (records[0]["step"], records[0]["validation"]["pck@0.1"]) == (0, 0.5)
    assert [record["step"] for record in records] == list(range(len(records)))


def test_weights_of_another_network_are_refused_to_begin_with(dots: Dataset, tmp_path: Path):
    first = Joint.train(dots, "cpu", TINY, tmp_path / "run", device=CPU, progress=False)
    with pytest.raises(JladkitError, match=r"train\.start: .* has another network"):
        trainee(dots, f"train.start='{first}'", "model.landmarks=4")
    with pytest.raises(JladkitError, match="There is no checkpoint"):
        trainee(dots, "train.start='nowhere.safetensors'")
