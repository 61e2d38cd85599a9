"""Pictures decoded and encoded once; what is kept is bounded, and changes nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawn_arrays
from torch import Tensor

from jladkit.baselines.nearest import Nearest, NearestConfig
from jladkit.errors import JladkitError
from jladkit.formats.dataset import Dataset, open_dataset, write_dataset
from jladkit.methods import EncodedDetector, EncodedMatcher, LandmarkDetector, Matcher
from jladkit.model.joint import JointNet, ModelConfig
from jladkit.training import encoding
from jladkit.training.encoding import Kept, Runner, by_picture
from jladkit.training.joint import Joint
from jladkit.training.prediction import carried, detected

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two categories of 24 objects, pairs in no order; two objects share the first one's picture."""
    arrays = drawn_arrays(objects=48, categories=2)
    order = np.random.default_rng(0).permutation(len(arrays["pair/source"]))
    arrays |= {name: array[order] for name, array in arrays.items() if name.startswith("pair/")}
    for row in (6, 12):
        arrays["object/image_span"][row] = arrays["object/image_span"][0]
    path = tmp_path_factory.mktemp("mixed") / "mixed.h5"
    write_dataset(path, arrays, name="mixed", recipe={}, source={})
    return open_dataset(path)


class Counting:
    """Encodes a picture as its mean colour; carries points by the colours' difference."""

    name = "counting"
    size = 32

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.encoded: list[float] = []

    def encode(self, images: Tensor) -> Tensor:
        found = images.mean(dim=(2, 3))
        self.encoded += found.sum(dim=1).tolist()
        return found

    def transfer(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        raise AssertionError("the codes are to be used")

    def transfer_encoded(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> Tensor:
        shift = (target - source)[:, None, :2] + torch.tensor([int(c[-1]) for c in category])[:, None, None]  # fmt: skip
        return points + 10 * shift

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        raise AssertionError("the codes are to be used")

    def detect_encoded(self, codes: Tensor, category: Sequence[str]) -> Tensor:
        return 30 * codes[:, None, :2]


class Plain:
    """The same method, or another, without its two steps."""

    def __init__(self, method: Any) -> None:
        self.method, self.name, self.size, self.config = method, "plain", method.size, {}

    def transfer(self, *args: Any) -> Tensor:
        if isinstance(self.method, Counting):
            source, target, *rest = args
            return self.method.transfer_encoded(
                self.method.encode(source), self.method.encode(target), *rest
            )
        return self.method.transfer(*args)

    def detect(self, images: Tensor, category: Sequence[str]) -> Tensor:
        if isinstance(self.method, Counting):
            return self.method.detect_encoded(self.method.encode(images), category)
        return self.method.detect(images, category)


def test_every_picture_is_decoded_and_encoded_once_for_pairs_and_objects(
    mixed: Dataset, monkeypatch: pytest.MonkeyPatch
):
    decoded: Counter[int] = Counter()
    image = Dataset.image
    monkeypatch.setattr(
        Dataset, "image", lambda self, row: (decoded.update([row]), image(self, row))[1]
    )
    method = Counting()
    runner = Runner(method, mixed, CPU)
    carried(runner, mixed.pairs("train"), progress=False)
    objects = np.union1d(mixed.objects("train"), mixed.objects("test"))
    detected(runner, objects, progress=False)
    pictures = len(np.unique(mixed.object_image_span[objects], axis=0))
    assert pictures == len(objects) - 2
    assert len(method.encoded) == len(set(method.encoded)) == pictures
    assert len(decoded) == sum(decoded.values()) == pictures


def test_a_method_of_one_step_decodes_once_too(mixed: Dataset, monkeypatch: pytest.MonkeyPatch):
    decoded: Counter[int] = Counter()
    image = Dataset.image
    monkeypatch.setattr(
        Dataset, "image", lambda self, row: (decoded.update([row]), image(self, row))[1]
    )
    runner = Runner(Plain(Counting()), mixed, CPU)
    carried(runner, mixed.pairs("train"), progress=False)
    detected(runner, mixed.objects("train"), progress=False)
    assert max(decoded.values()) == 1


@pytest.mark.parametrize("limit", [0, 100, 1 << 30])
def test_what_is_kept_is_bounded_and_changes_nothing(
    mixed: Dataset, monkeypatch: pytest.MonkeyPatch, limit: int
):
    monkeypatch.setattr(encoding, "CODES", limit)
    monkeypatch.setattr(encoding, "PICTURES", limit)
    pairs, objects = mixed.pairs("test"), mixed.objects("test")
    plain = Runner(Plain(Counting()), mixed, CPU)
    runner = Runner(Counting(), mixed, CPU)
    points = carried(runner, pairs, progress=False).points
    np.testing.assert_allclose(points, carried(plain, pairs, progress=False).points, atol=1e-5)
    landmarks = detected(runner, objects, progress=False)
    np.testing.assert_allclose(landmarks, detected(plain, objects, progress=False), atol=1e-5)
    for kept in (runner.codes, runner.pictures, plain.pictures):
        assert kept.bytes == sum(one.nbytes for one in kept.made.values()) <= limit


def test_pairs_and_objects_come_back_in_the_order_they_were_asked_for(mixed: Dataset):
    pairs = mixed.pairs("test")
    assert not (np.diff(mixed.pair_source[pairs]) >= 0).all()
    found = carried(Runner(Counting(), mixed, CPU), pairs, progress=False).points
    for place in (0, 7, len(pairs) - 1):
        alone = carried(
            Runner(Counting(), mixed, CPU), pairs[place : place + 1], progress=False
        ).points
        np.testing.assert_allclose(found[place], alone[0], atol=1e-5)
    runner = Runner(Counting(), mixed, CPU)
    carried(runner, pairs, progress=False)
    objects = np.arange(47, -1, -1)  # some are kept and come first
    assert 0 < runner.codes.holds(objects).sum() < 48
    backwards = detected(runner, objects, progress=False)
    np.testing.assert_array_equal(
        backwards[::-1], detected(runner, objects[::-1].copy(), progress=False)
    )


def test_the_least_recently_used_picture_goes_first(mixed: Dataset):
    asked: list[list[int]] = []

    def make(rows: np.ndarray) -> Tensor:
        asked.append(rows.tolist())
        return torch.tensor(rows, dtype=torch.float32)[:, None]  # four bytes each

    kept = Kept(mixed, make, limit=12)
    for rows in ([1, 2, 3], [1, 1], [4], [2], [1, 3]):
        assert kept(np.array(rows))[:, 0].tolist() == rows
    assert asked == [[1, 2, 3], [4], [2], [3]]  # 4 pushed 2 out, 2 pushed 3 out
    assert kept.holds(np.array([1, 2, 3, 4])).tolist() == [True, True, True, False]


def test_one_call_may_ask_for_more_than_is_kept(mixed: Dataset):
    kept = Kept(mixed, lambda rows: torch.tensor(rows, dtype=torch.float32)[:, None], limit=4)
    same = 12  # one of the three that share a picture is asked for
    assert kept(np.arange(13))[:, 0].tolist() == [same, *range(1, 6), same, *range(7, 12), same]
    assert kept.bytes == 4


def test_pairs_are_ordered_by_category_then_source(mixed: Dataset):
    pairs = mixed.pairs("train")
    order = by_picture(mixed, pairs)
    assert sorted(order) == list(range(len(pairs)))
    ordered = pairs[order]
    keys = list(zip(mixed.pair_category[ordered], mixed.pair_source[ordered],
                    mixed.pair_target[ordered], strict=True))  # fmt: skip
    assert keys == sorted(keys)


def joint() -> Joint:
    """The joint method, small and untrained."""
    torch.manual_seed(0)
    config = ModelConfig(
        weights="random", layers=["blocks.2"], size=64, width=16, landmarks=3, radius=3
    )
    return Joint(JointNet(config, ["kind0", "kind1"]).eval(), {})


def test_the_joint_method_and_nearest_say_the_same_in_two_steps_as_in_one(mixed: Dataset):
    small = NearestConfig(layers=["blocks.2"], size=64)
    pairs, objects = mixed.pairs("test")[:40], mixed.objects("test")
    with torch.inference_mode():
        for method in (joint(), Nearest(small, CPU)):
            assert isinstance(method, EncodedMatcher)
            runners = [Runner(one, mixed, CPU) for one in (method, Plain(method))]
            two, one = (carried(runner, pairs, progress=False).points for runner in runners)
            np.testing.assert_allclose(two, one, atol=1e-3)
            if isinstance(method, EncodedDetector):
                two, one = (detected(runner, objects, progress=False) for runner in runners)
                np.testing.assert_allclose(two, one, atol=1e-3)


def test_in_one_batch_two_steps_give_the_very_same_numbers():
    images, points = torch.rand(4, 3, 64, 64), 63 * torch.rand(2, 5, 2)
    with torch.inference_mode():
        for method in (joint(), Nearest(NearestConfig(layers=["blocks.2"], size=64), CPU)):
            codes = method.encode(images)
            one = method.transfer(images[:2], images[2:], points, ["kind0"] * 2)
            two = method.transfer_encoded(codes[:2], codes[2:], points, ["kind0"] * 2)
            assert torch.equal(one, two)


def test_who_has_two_steps_is_seen_by_the_members():
    method = joint()
    assert isinstance(method, EncodedDetector) and isinstance(method, EncodedMatcher)
    plain = Plain(method)
    assert isinstance(plain, Matcher) and isinstance(plain, LandmarkDetector)
    assert not isinstance(plain, EncodedMatcher) and not isinstance(plain, EncodedDetector)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("encode", torch.zeros(3, 2), "encode must return a tensor with a row for each of"),
        ("encode", [1], "but returned a list"),
        (
            "transfer_encoded",
            torch.zeros(2, 3),
            r"transfer must return floats of size \(\d+, 3, 2\)",
        ),
        (
            "transfer_encoded",
            torch.zeros(2, 3, 2).long(),
            r"but returned int64 of size \(2, 3, 2\)",
        ),
        ("transfer_encoded", None, "but returned a NoneType"),
        (
            "detect_encoded",
            torch.zeros(16, 2, 5),
            r"detect must return floats of size \(\d+, K, 2\)",
        ),
    ],
)
def test_a_method_that_returns_another_form_is_told_so(
    mixed: Dataset, monkeypatch: pytest.MonkeyPatch, member: str, value: Any, words: str
):
    monkeypatch.setattr(Counting, member, lambda self, *args: value)
    runner = Runner(Counting(), mixed, CPU)
    with pytest.raises(JladkitError, match=words):
        carried(runner, mixed.pairs("test"), progress=False)
        detected(runner, mixed.objects("test"), progress=False)


class Unsure(Counting):
    """The same, more unsure the further to the right a point lies."""

    def transfer_encoded_with_log_sigma(
        self, source: Tensor, target: Tensor, points: Tensor, category: Sequence[str]
    ) -> tuple[Tensor, Tensor | None]:
        return self.transfer_encoded(source, target, points, category), points[..., 0]


class UnsureInOneStep(Plain):
    """The same in one step."""

    def transfer_with_log_sigma(self, *args: Any) -> tuple[Tensor, Tensor | None]:
        return self.transfer(*args), args[2][..., 0]


@pytest.mark.parametrize("cells", [0, 3])
def test_how_unsure_a_method_is_comes_with_its_points_in_their_order(mixed: Dataset, cells: int):
    pairs = mixed.pairs("test")
    source = mixed.pair_source[pairs]
    # x of the square of 32 that the pictures were squashed to.
    x = mixed.object_keypoints[source][..., 0]
    expected = (x + 0.5) * 32 / mixed.object_size[source, :1] - 0.5
    plain = carried(Runner(Counting(), mixed, CPU), pairs, progress=False, cells=cells)
    assert plain.log_sigma is None
    for method in (Unsure(), UnsureInOneStep(Counting())):
        found = carried(Runner(method, mixed, CPU), pairs, progress=False, cells=cells)
        np.testing.assert_allclose(found.points, plain.points, atol=1e-5)
        np.testing.assert_allclose(found.field, plain.field, atol=1e-4)
        assert found.log_sigma is not None
        np.testing.assert_allclose(found.log_sigma, expected, atol=1e-4)


def test_points_field_and_log_sigma_of_the_joint_method_come_from_one_correlation_a_pair(
    mixed: Dataset, monkeypatch: pytest.MonkeyPatch
):
    method, pairs, asked = joint(), mixed.pairs("test")[:8], []
    align = JointNet.align

    def counted(self: JointNet, source: Tensor, target: Tensor) -> Any:
        asked.append(len(source))
        return align(self, source, target)

    monkeypatch.setattr(JointNet, "align", counted)
    with torch.inference_mode():
        found = carried(Runner(method, mixed, CPU), pairs, progress=False, cells=4)
    assert sum(asked) == len(pairs)
    assert found.field.shape == (8, 2, 4, 4) and np.isfinite(found.field).all()
    assert found.log_sigma is not None and (found.log_sigma == 0).all()  # untrained


def test_a_joint_method_trained_without_uncertainty_says_nothing_of_it():
    method = joint()
    method.net.config = replace(method.net.config, uncertainty=False)
    codes = method.encode(torch.rand(2, 3, 64, 64))
    told = method.transfer_encoded_with_log_sigma(
        codes[:1], codes[1:], torch.ones(1, 2, 2), ["kind0"]
    )
    assert told[1] is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            torch.zeros(16, 2),
            r"log sigma as floats of size \(\d+, 3\), finite or NaN, but returned",
        ),
        (torch.full((16, 3), -torch.inf), r"but returned float32 of size \(16, 3\) with infinity"),
        ([1], "but returned a list"),
    ],
)
def test_a_log_sigma_of_another_form_is_told_so(
    mixed: Dataset, monkeypatch: pytest.MonkeyPatch, value: Any, words: str
):
    def told(self: Unsure, source: Tensor, target: Tensor, points: Tensor, category: list[str]):
        return points, value

    monkeypatch.setattr(Unsure, "transfer_encoded_with_log_sigma", told)
    with pytest.raises(JladkitError, match=words):
        carried(Runner(Unsure(), mixed, CPU), mixed.pairs("test"), progress=False)
