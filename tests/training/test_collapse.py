"""What is said of a collapse, by records made by hand."""

from typing import Any

import pytest

from jladkit.training.collapse import RECENT, collapses


def run(steps: int = 60, spread: float | None = 0.03, **terms: Any) -> list[dict[str, Any]]:
    """Records of `steps` steps; a term is a number, or a pair: at first and in the last RECENT."""
    records: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        late = step > steps - RECENT
        own = {n: (v[late] if isinstance(v, tuple) else v) for n, v in terms.items()}
        records.append({"step": step, "phase": "detect", "total": 1.0, **own})
    if spread is not None:
        records[-1]["validation"] = {"pck@0.1": 0.6, "iod": 0.3, "spread": spread}
    return records


HEALTHY: dict[str, Any] = {"background": 0.7, "peak": 0.6, "log_sigma": 1.1, "displacement": 0.01, "joint": 0.04,
           "concentration": 0.2, "cross_entropy": 2.7}  # fmt: skip


def test_of_a_healthy_run_nothing_is_said():
    assert collapses(run(**HEALTHY), identity=1.0) == []


def test_maps_that_went_into_the_background_have_faded_and_the_term_that_gained_is_named():
    terms: dict[str, Any] = HEALTHY | {"background": (0.7, 0.998), "peak": (0.6, 0.02), "joint": (0.3, 0.0006),
                       "concentration": (0.2, 0.15)}  # fmt: skip
    (said,) = collapses(run(**terms))
    assert "maps have faded by step 60 (mean of 20 steps): background mass 0.9980" in said
    assert "peak 0.0200" in said and "(8) and (10) see nothing" in said
    assert "most fell joint, from 0.3 to 0.0006" in said


@pytest.mark.parametrize(("background", "peak"), [(0.998, 0.06), (0.98, 0.02), (0.99, 0.05)])
def test_both_a_full_background_and_a_low_peak_make_it_a_collapse(background: float, peak: float):
    assert collapses(run(**{**HEALTHY, "background": background, "peak": peak})) == []


def test_where_no_term_fell_by_half_none_is_named():
    (said,) = collapses(run(**{**HEALTHY, "background": 0.999, "peak": 0.01}))
    assert "fell" not in said


def test_landmarks_that_stay_in_place_do_not_move():
    (said,) = collapses(run(spread=0.0031, **HEALTHY))
    assert "do not move at step 60" in said and "0.0031 of the picture's side" in said
    assert collapses(run(spread=0.005, **HEALTHY)) == []


def test_the_last_validation_decides():
    records = run(spread=0.001, **HEALTHY)
    later = run(spread=0.02, **HEALTHY)
    for record in later:
        record["step"] += 60
    assert collapses(records + later) == []
    assert len(collapses([*records, {**later[0], "validation": {"iod": 0.2}}])) == 1


@pytest.mark.parametrize(("value", "words"), [(-4.5, "below -4"), (6.5, "above 6")])
def test_a_sigma_beyond_its_bounds_swallows_6(value: float, words: str):
    (said,) = collapses(run(**{**HEALTHY, "log_sigma": value}))
    assert (
        f"swallows (6) by step 60 (mean of 20 steps): mean log sigma {value:.2f} ({words})" in said
    )
    assert "cross-entropy within it is 2.7" in said


@pytest.mark.parametrize("value", [-4.0, 0.0, 6.0])
def test_a_sigma_within_its_bounds_is_fine(value: float):
    assert collapses(run(**{**HEALTHY, "log_sigma": value})) == []


def test_a_field_that_stands_still_is_a_collapse_only_under_a_pull_to_the_identity():
    records = run(**{**HEALTHY, "displacement": 3e-6})
    assert collapses(records) == []
    (said,) = collapses(records, identity=20.0)
    assert "froze at the identity by step 60 (mean of 20 steps): displacement 3e-06" in said
    assert "loss.identity (20) outweighs (6) and (10)" in said
    (said,) = collapses(run(displacement=3e-6), identity=20.0)
    assert "outweighs (6). Lower it" in said


def test_several_are_told_in_turn():
    bad: dict[str, Any] = {"background": 0.999, "peak": 0.01, "log_sigma": 9.0, "displacement": 0.0}
    assert len(collapses(run(spread=0.0, **bad), identity=1.0)) == 4


def test_a_term_that_a_later_phase_does_not_have_is_read_from_where_it_last_was():
    records = run(log_sigma=7.0) + [{**r, "step": r["step"] + 60} for r in run(peak=0.5)]
    (said,) = collapses(records)
    assert "by step 60" in said


def test_too_few_steps_and_other_methods_terms_say_nothing():
    assert collapses(run(RECENT - 1, background=0.999, peak=0.01, spread=None)) == []
    assert collapses(run(spread=None, loss=1.0)) == []
    assert collapses([]) == []


def test_landmarks_that_lie_on_one_another_are_told_and_how_many_lie_alone():
    records = run(**HEALTHY)
    records[-1]["validation"]["distinct"] = 0.3
    (said,) = collapses(records)
    assert "lie on one another at step 60: 30% of them" in said
    records[-1]["validation"]["distinct"] = 0.8
    assert collapses(records) == []
