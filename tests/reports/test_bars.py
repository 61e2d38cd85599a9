"""Scores by category, by stratum and by alternation; histograms of data sets."""

from typing import Any

import numpy as np
import pytest

from jladkit.errors import JladkitError, UsageError
from jladkit.reports.alternations import Point, Progress, alternation_curve, progress_of
from jladkit.reports.bars import category_bars, strata_bars
from jladkit.reports.figures import kind_of
from jladkit.reports.histograms import dataset_histograms
from tests.reports.test_curves import records
from tests.reports.test_figures import board
from tests.reports.test_tables import iod_result, pck_result
from tests.tiny import tiny_dataset


def stratified(method: str = "a", **strata: dict[str, float]) -> Any:
    """A PCK result with strata of {class: value}."""
    classes = {
        name: {label: {"value": v, "low": v - 0.1, "high": v + 0.1, "count": 7}
               for label, v in own.items()}
        for name, own in strata.items()
    }  # fmt: skip
    result = pck_result(method)
    return pck_result(method, results=[{**row, "strata": classes} for row in result.results])


def panels(figure: Any) -> Any:
    """The axes of a figure, whose lines and patches are of many kinds."""
    return figure.axes


def points(axes: Any) -> list[list[float]]:
    return [
        [float(v) for v in line.get_ydata()] for line in axes.lines if line.get_marker() in "os"
    ]


def ticks(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_xticklabels()]


def test_categories_and_all_stand_in_percent_with_their_counts():
    (axes,) = panels(category_bars(board(pck_result("a"), pck_result("b", 0.6))))
    assert ticks(axes) == ["car (30)", "tv_monitor & co (1)", "all (40)"]
    assert points(axes) == [pytest.approx([50, 50, 60]), pytest.approx([60, 60, 70])]
    assert axes.get_ylabel() == "PCK@0.1 (%)"
    (at_005,) = panels(category_bars(board(pck_result("a")), 0.05))
    assert points(at_005) == [pytest.approx([50, 50, 50])]


def test_intervals_that_are_not_there_are_not_drawn():
    (axes,) = panels(category_bars(board(pck_result("a"))))
    ends = [path.vertices[:, 1] for path in axes.collections[0].get_paths()]
    assert np.allclose(ends[0], [10, 90]) and np.isnan(ends[1]).all()


def test_errors_say_that_less_is_better_and_have_no_alpha():
    (axes,) = panels(category_bars(board(iod_result())))
    assert axes.get_ylabel() == "IOD, imm (%; less is better)"
    with pytest.raises(UsageError, match="has no alpha"):
        category_bars(board(iod_result()), 0.1)
    with pytest.raises(UsageError, match=r"has alpha 0.3. There are: 0.05, 0.1"):
        category_bars(board(pck_result()), 0.3)


def test_strata_have_a_panel_each_their_classes_in_order():
    figure = strata_bars(board(stratified(
        azimuth={"20 to 40 degrees": 0.3, "0 to 20 degrees": 0.6, "100 to 120 degrees": 0.1},
        truncated={"both": 0.1, "neither": 0.4, "source": 0.3}, difficult={"neither": 0.5},
        keypoint={"car roof": 0.5, "car light": 0.4},
    )))  # fmt: skip
    shown = [axes for axes in panels(figure) if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in shown] == ["azimuth", "truncated"]
    assert ticks(shown[0]) == [
        "0 to 20 degrees (7)",
        "20 to 40 degrees (7)",
        "100 to 120 degrees (7)",
    ]
    assert ticks(shown[1]) == ["neither (7)", "source (7)", "both (7)"]
    assert points(shown[0]) == [pytest.approx([60, 30, 10])]


def test_a_stratum_that_is_asked_for_is_shown_and_one_that_is_none_is_refused():
    one = board(stratified(keypoint={"car roof": 0.5, "car light": 0.4}))
    (axes,) = panels(strata_bars(one, strata=["keypoint"]))
    assert ticks(axes) == ["car light (7)", "car roof (7)"]
    with pytest.raises(UsageError, match=r"stratum 'scale'. It has: keypoint"):
        strata_bars(one, strata=["scale"])
    with pytest.raises(JladkitError, match="no strata of more than one class"):
        strata_bars(one)


def alternating(rounds: int = 2) -> list[dict[str, Any]]:
    """A log of 10 steps a phase, validated at every fifth; PCK is step / 100."""
    phases = ["synthetic", *["align", "detect"] * rounds]
    found: list[dict[str, Any]] = []
    for step in range(1, 10 * len(phases) + 1):
        record: dict[str, Any] = {"step": step, "phase": phases[(step - 1) // 10], "total": 1.0}
        if step % 5 == 0:
            record["validation"] = {"iod": 0.3, "pck@0.1": step / 100}
        found.append(record)
    return found


def test_an_alternation_ends_with_its_detect_phase_and_its_score_is_the_last_before():
    pck, iod = progress_of(alternating())
    assert (pck.score, iod.score) == ("pck@0.1", "iod")
    assert {n: p.value for n, p in pck.points.items()} == {0: 0.1, 1: 0.3, 2: 0.5}


def test_a_log_of_another_method_or_without_scores_is_refused():
    with pytest.raises(JladkitError, match="no phase align"):
        progress_of([{"step": 1, "phase": "only", "total": 1.0}])
    with pytest.raises(JladkitError, match="no validation scores"):
        progress_of([{k: v for k, v in r.items() if k != "validation"} for r in records()])


def test_a_course_has_its_band_its_deviations_and_its_controls():
    course = {0: Point(0.5, 0.4, 0.6, 0.01), 1: Point(0.6, 0.5, 0.7, 0.02)}
    control = {"control: x": Point(0.55)}
    figure = alternation_curve([Progress("pck@0.1", course, control), Progress("iod", course)], "t")
    first, second = panels(figure)
    assert list(first.lines[0].get_ydata()) == [50, 60]
    assert first.collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(70)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[0] == "95 % interval over images" and "control: x" in words
    assert "less is better" in second.get_ylabel()
    assert not alternation_curve([Progress("iod", {0: Point(0.5), 1: Point(0.4)})], "t").legends


def test_histograms_count_objects_and_pairs_by_split_and_say_what_is_not_known(tmp_path):
    data = tiny_dataset(tmp_path / "tiny.h5")
    figure = dataset_histograms(data)
    by_title = {axes.get_title(loc="left"): axes for axes in panels(figure)}
    bars = by_title["objects by category"].patches
    assert sum(bar.get_width() for bar in bars) == 60
    common = by_title["pairs by common visible keypoints"].patches
    assert sum(bar.get_height() for bar in common) == 60
    assert [t.get_text() for t in by_title["objects by azimuth"].texts] == ["not known of any"]
    view = np.tile([370.0, -5.0, 0.0, 1.0], (60, 1))
    known = dataset_histograms(tiny_dataset(tmp_path / "seen.h5", object_viewpoint=view))
    azimuth = next(a for a in panels(known) if a.get_title(loc="left") == "objects by azimuth")
    assert [bar.get_height() for bar in azimuth.patches][:2] == [60, 0]


def test_only_the_three_endings_are_written(tmp_path):
    assert [kind_of(tmp_path / f"a.{end}") for end in ("pdf", "SVG", "png")] == [
        "pdf",
        "svg",
        "png",
    ]
    with pytest.raises(UsageError, match=r"must end in .pdf or .svg"):
        kind_of(tmp_path / "a.jpg")
