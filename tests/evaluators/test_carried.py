import numpy as np
import pytest

from jladkit.errors import JladkitError
from jladkit.evaluators.pck import evaluate
from jladkit.evaluators.pck_protocols import PCK_PROTOCOLS
from tests.tiny import predicted, tiny_arrays, tiny_dataset, true_points

BACK = [name for name, p in PCK_PROTOCOLS.items() if p.direction == "target->source"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("carried") / "tiny.h5")


@pytest.mark.parametrize("name", PCK_PROTOCOLS)
def test_points_in_the_wrong_picture_are_not_taken_for_right(data, name):
    """NeMF's swap: transferred keypoints compared with those of the picture they came from."""
    there, back = (np.nan_to_num(true_points(data, back=way)) for way in (True, False))
    swapped = predicted(data, pair_points=there, pair_points_back=back)
    assert evaluate(data, swapped, name, [0.1])[0].results[0]["pooled"] < 0.4


def test_a_direction_reads_its_own_points_alone(data):
    wrong = np.full_like(true_points(data), 1e4)
    there = predicted(data, pair_points_back=wrong)
    back = predicted(data, pair_points=wrong, pair_points_back=true_points(data, back=True))
    for name, (a, b) in {"scnet": (1, 0), "rocco-scnet": (0, 1), "cats": (0, 1)}.items():
        assert evaluate(data, there, name)[0].results[0]["value"] == a
        assert evaluate(data, back, name)[0].results[0]["value"] == b


@pytest.mark.parametrize("name", BACK)
def test_predictions_of_one_direction_are_refused_where_the_other_is_needed(data, name):
    with pytest.raises(JladkitError, match=rf"{name} carries the targets' keypoints .* both ways"):
        evaluate(data, predicted(data), name)


def test_a_pair_the_other_way_round_answers_for_keypoints_carried_back(tmp_path):
    """As in PF-WILLOW, which has every pair in both orders."""
    source, target, split = (tiny_arrays()[f"pair/{f}"] for f in ("source", "target", "split"))
    half = source < 30
    data = tiny_dataset(
        tmp_path / "both.h5",
        pair_source=np.where(half, source, target[source - 30]),
        pair_target=np.where(half, target, source - 30),
        pair_split=split[source % 30],
        pair_category=source % 2,
    )
    there = true_points(data) + np.random.default_rng(0).normal(0, 3, true_points(data).shape)
    rows = data.pairs("test")
    ends = list(zip(data.pair_source[rows], data.pair_target[rows], strict=True))
    other = [ends.index((b, a)) for a, b in ends]
    said = predicted(data, pair_points=there)
    told = predicted(data, pair_points=there, pair_points_back=there[other])
    order = np.random.default_rng(1).permutation(len(rows))
    mixed = predicted(data, pair_points=there[order], pair_row=rows[order])
    for name in ("rocco-pf", "cats-box"):
        values = [evaluate(data, p, name)[0].results for p in (said, told, mixed)]
        assert values[0] == values[1] == values[2]


def test_points_carried_back_must_fit_the_data_set_too(data):
    back = true_points(data, back=True)[:, :3]
    with pytest.raises(JladkitError, match=r"have 3 keypoints a pair, but .* has 4"):
        evaluate(data, predicted(data, pair_points_back=back), "cats")
