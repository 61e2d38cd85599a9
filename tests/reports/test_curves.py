"""Training curves: what each panel shows, and that a log may lack any of it."""

from typing import Any

import numpy as np
import pytest

from jladkit.reports.curves import SMOOTHED, training_curves
from jladkit.reports.figures import save


def records(steps: int = 90) -> list[dict[str, Any]]:
    """A log of three phases with a validation every ten steps; IOD is best at step 50."""
    found: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        phase = ("synthetic", "align", "detect")[(step - 1) * 3 // steps]
        own = {"total": 100.0 / step, "concentration": 1.0 / step, "background": 0.7, "peak": 0.5}
        if phase == "align":
            own |= {"displacement": 0.01, "log_sigma": 1.0, "log_sigma_deviation": 0.25,
                    "cross_entropy": 2.0}  # fmt: skip
        record = {"step": step, "phase": phase, **own}
        if step % 10 == 0:
            record["validation"] = {"pck@0.1": step / 100, "iod": 0.2 + abs(step - 50) / 100}
        found.append(record)
    return found


def panel(figure: Any, label: str) -> Any:
    (axes,) = [axes for axes in figure.axes if label in axes.get_ylabel()]
    return axes


def legend_of(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_both_scores_are_shown_in_percent_with_the_step_of_their_best():
    figure = training_curves(records(), "run")
    pck, iod = panel(figure, "PCK@0.1"), panel(figure, "IOD")
    assert legend_of(pck) == ["best: 90.0 at step 90"]
    assert legend_of(iod) == ["best: 20.0 at step 50"]
    assert list(iod.lines[0].get_xdata()) == list(range(10, 91, 10))
    assert [float(v) for v in (iod.lines[1].get_xdata()[0], iod.lines[1].get_ydata()[0])] == [
        50,
        20,
    ]


def test_phases_are_shaded_and_named():
    figure = training_curves(records(), "run")
    spans = [patch.get_extents() for patch in panel(figure, "PCK@0.1").patches]
    assert len(spans) == 3
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["phase synthetic", "phase align", "phase detect"]


def test_terms_of_the_loss_stand_on_a_log_axis_and_what_is_none_of_it_elsewhere():
    figure = training_curves(records(), "run")
    loss = panel(figure, "terms of the loss")
    assert loss.get_yscale() == "log"
    assert legend_of(loss) == ["concentration", "total"]
    assert legend_of(panel(figure, "landmark maps")) == ["background", "peak"]
    (band,) = panel(figure, "log sigma").collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.75, 1.25)


def test_lines_are_smoothed_within_a_phase_and_never_across_two():
    told = records()
    for record in told:
        record["peak"] = 1.0 if record["phase"] == "align" else 0.0
    thick = panel(training_curves(told, "run"), "landmark maps").lines[3].get_ydata()
    assert thick.tolist() == [0.0] * 30 + [1.0] * 30 + [0.0] * 30
    for record in told:
        record["peak"] = float(record["step"] == 45)
    thick = panel(training_curves(told, "run"), "landmark maps").lines[3].get_ydata()
    assert thick[44] == pytest.approx(1 / SMOOTHED)
    assert np.count_nonzero(thick) == SMOOTHED


@pytest.mark.parametrize("count", [1, 5])
def test_a_short_log_without_scores_and_states_is_drawn_too(count: int):
    told = [{"step": s, "phase": "only", "total": 0.0} for s in range(1, count + 1)]
    figure = training_curves(told, "run")
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["the log has none of this"] * 6
    assert panel(figure, "terms of the loss").get_yscale() == "linear"  # a loss of 0 has no log


def test_the_same_log_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save(training_curves(records(30), "run"), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
