"""The maps of an IOD protocol: forward, landmarks to keypoints, and backward.

Both are fitted category by category on objects that the protocol names, once or repeatedly, and
applied to the scored ones; the average of what was fitted on stands beside each as its floor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from jladkit.errors import JladkitError
from jladkit.evaluators.iod_frames import in_frame, mean_points, mean_shape, to_pixels
from jladkit.evaluators.iod_protocols import IodProtocol
from jladkit.evaluators.items import pictures
from jladkit.evaluators.regression import Mapped, least_rows, map_points, unknowns
from jladkit.formats.dataset import Dataset

Folds = list[tuple[np.ndarray, np.ndarray]]
SHARE = 0.5  # of the fitted objects, that must show all keypoints a backward map reads


@dataclass(frozen=True)
class Objects:
    """What is regressed.

    Attributes:
        data: the data set.
        landmarks: (N, L, 2) xy in pixels of each object's stored picture, by row of object/*;
            NaN but for the objects below.
        train, scored: rows of object/*.
    """

    data: Dataset
    landmarks: np.ndarray
    train: np.ndarray
    scored: np.ndarray

    def pool(self, protocol: IodProtocol) -> np.ndarray:
        """The rows that a protocol's fits take from."""
        return self.train if protocol.fitted_on == "train" else self.scored


@dataclass
class Regression:
    """What the maps of a protocol say of the scored objects.

    Attributes:
        points: (R, n, M, 2) in pixels of the stored pictures, one layer a repeat; NaN where there
            is no map.
        floor: (R, n, M, 2) the average of the fitted objects.
        unknowns: coefficients of a map, for each coordinate; of backward maps the most.
        fitted_on: how many objects the first fit took, all categories together.
        counts: {(category, point): in how many objects of the largest fit it is visible}.
        mapped: of these, the ones that have a map.
        averaged: of these, the ones whose average leave-one-out preferred to every map, in the
            first fit.
        ranks: by category whose features span fewer dimensions than the map has unknowns (or
            the fit rows), the least number of them in a fit.
    """

    points: np.ndarray
    floor: np.ndarray
    unknowns: int
    fitted_on: int
    counts: dict[tuple[int, int], int] = field(default_factory=dict)
    mapped: set[tuple[int, int]] = field(default_factory=set)
    averaged: set[tuple[int, int]] = field(default_factory=set)
    ranks: dict[int, int] = field(default_factory=dict)

    def note(self, code: int, members: np.ndarray, found: Mapped, first: bool) -> None:
        """Take in what one fit of category `code` says of its points `members`."""
        for place, member in enumerate(members.tolist()):
            key = (code, member)
            self.counts[key] = max(self.counts.get(key, 0), int(found.count[place]))
            if found.rank[place] < 0:
                continue
            self.mapped.add(key)
            rank = int(found.rank[place])
            if rank < min(self.unknowns, found.count[place]):
                self.ranks[code] = min(rank, self.ranks.get(code, rank))
            if first and np.isinf(found.ridge[place]):
                self.averaged.add(key)


def draws(objects: Objects, protocol: IodProtocol) -> Iterator[Folds]:
    """For each repeat, the rows to fit on and the rows to score by that fit.

    Repeat r is drawn with the seed (seed, r), whatever the number of repeats.

    Raises:
        JladkitError: there are no landmarks of training objects, a category has fewer objects
            than are to be drawn, or the scored objects are all of one picture, which cannot be
            halved.
    """
    pool, scored = objects.pool(protocol), objects.scored
    if not len(pool):
        raise JladkitError(
            f"There are no landmarks of training objects, on which {protocol.name} fits the "
            f"regression. Predict those too, build {objects.data.path} with a train split, or fit "
            "inside the scored split with --protocol halves."
        )
    for repeat in range(protocol.repeats):
        generator = np.random.default_rng([protocol.seed, repeat])
        folds = [(pool, scored)]
        if protocol.fitted_on == "halves":
            first, second = halves(objects.data, scored, generator)
            folds = [(first, second), (second, first)]
        if protocol.fit_rows is not None:
            folds = [(chosen(objects.data, a, protocol, generator), b) for a, b in folds]
        yield folds


def halves(
    data: Dataset, rows: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`rows` in two parts that share no picture, with as many pictures each, or one more."""
    image = pictures(data)[0][rows]
    shown = generator.permutation(np.unique(image))
    if len(shown) < 2:
        raise JladkitError(
            f"The scored objects of {data.path} are all of one picture, so they cannot be halved. "
            "Fit on train."
        )
    first = np.isin(image, shown[: len(shown) // 2])
    return rows[first], rows[~first]


def chosen(
    data: Dataset, rows: np.ndarray, protocol: IodProtocol, generator: np.random.Generator
) -> np.ndarray:
    """`protocol.fit_rows` of each category's `rows`, drawn without replacement, in file order."""
    wanted = protocol.fit_rows or 0
    found = []
    for code in np.unique(data.object_category[rows]):
        own = rows[data.object_category[rows] == code]
        if len(own) < wanted:
            raise JladkitError(
                f"{protocol.name} draws {wanted} objects of each category, but there are "
                f"{len(own)} of {data.categories[code]} to fit on in {data.path}. "
                "Give a smaller --fit-rows."
            )
        found.append(generator.choice(own, wanted, replace=False))
    return np.sort(np.concatenate(found)) if found else rows


def by_category(
    data: Dataset, fitted: np.ndarray, into: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each category of `into`: its code, its rows of `fitted`, and its rows of `into`."""
    category = data.object_category
    for code in np.unique(category[into]).tolist():
        yield code, fitted[category[fitted] == code], into[category[into] == code]


def forward(objects: Objects, protocol: IodProtocol) -> Regression:
    """Landmarks to keypoints.

    Each keypoint has its own fit, on the objects where it is visible; one with fewer than
    `least_rows` of those gets none. A ridge lets a map have more unknowns than rows, but not where
    it is scored on what it was fitted on: there it would meet everything whatever the landmarks.

    The floor is the mean shape of what was fitted on, and of train where that is the scored
    objects themselves.
    """
    data, scored = objects.data, objects.scored
    features = in_frame(data, objects.landmarks, protocol.frame)
    features = features.reshape(len(features), -1)
    keypoints = in_frame(data, data.object_keypoints, protocol.frame)
    least = least_rows(
        features.shape[1], protocol.bias, protocol.ridged and protocol.fitted_on != "scored"
    )
    found = empty(objects, protocol, keypoints.shape[1], features.shape[1])
    for repeat, folds in enumerate(draws(objects, protocol)):
        for fitted, into in folds:
            place = np.searchsorted(scored, into)
            said = np.full((len(into), *keypoints.shape[1:]), np.nan)
            for code, own, new in by_category(data, fitted, into):
                members = np.arange(len(data.keypoint_names[code]))
                maps = map_points(
                    features[own], keypoints[own][:, members],
                    data.object_visible[own][:, members], features[new],
                    bias=protocol.bias, penalty=protocol.penalty, ridge=protocol.ridge,
                    least=least,
                )  # fmt: skip
                said[np.searchsorted(into, new), : len(members)] = maps.points
                found.note(code, members, maps, repeat == 0)
            found.points[repeat, place] = to_pixels(data, said, protocol.frame, into)
            on_scored = protocol.fitted_on == "scored" and protocol.fit_rows is None
            known = objects.train if on_scored and len(objects.train) else fitted
            found.floor[repeat, place] = mean_shape(data, known, into)
    return found


def backward(objects: Objects, protocol: IodProtocol) -> tuple[Regression, dict[int, np.ndarray]]:
    """Keypoints to landmarks, and which keypoints of each category are read.

    By the protocol's ridge, rows and draws, but always with a bias and in the picture's own frame,
    each side by itself, as this error is only ever taken with a bias: a landmark that never moves
    is a constant there, which a map through the origin could not say.

    A map needs all it reads, so it reads the keypoints of `shown_together`, and is fitted and
    scored on objects that show all of those. The floor is each landmark's average place in the
    picture: 0 for a detector that sees nothing and always says the same place of it.
    """
    protocol = replace(protocol, frame="unit", bias=True)
    data, scored, landmarks = objects.data, objects.scored, objects.landmarks
    keypoints = in_frame(data, data.object_keypoints, protocol.frame)
    targets = in_frame(data, landmarks, protocol.frame)
    every = np.ones(landmarks.shape[:2], dtype=bool)
    pool, used = objects.pool(protocol), {}
    for code, own, _ in by_category(data, pool, scored):
        number = len(data.keypoint_names[code])
        used[code] = shown_together(data.object_visible[own][:, :number])
    most = max((len(members) for members in used.values()), default=0)
    found = empty(objects, protocol, landmarks.shape[1], 2 * most)
    for repeat, folds in enumerate(draws(objects, protocol)):
        for fitted, into in folds:
            for code, all_own, all_new in by_category(data, fitted, into):
                members = used[code]
                own, new = (
                    rows[data.object_visible[rows][:, members].all(axis=1)]
                    for rows in (all_own, all_new)
                )
                if not len(members) or not len(own):
                    continue
                features = keypoints[:, members].reshape(len(keypoints), -1)
                least = least_rows(
                    features.shape[1], protocol.bias,
                    protocol.ridged and protocol.fitted_on != "scored",
                )  # fmt: skip
                maps = map_points(
                    features[own], targets[own], every[own], features[new],
                    bias=protocol.bias, penalty=protocol.penalty, ridge=protocol.ridge,
                    least=least,
                )  # fmt: skip
                place = np.searchsorted(scored, new)
                found.points[repeat, place] = to_pixels(data, maps.points, protocol.frame, new)
                found.floor[repeat, place] = mean_points(data, landmarks, every, own, new, "unit")
    return found, used


def empty(objects: Objects, protocol: IodProtocol, points: int, features: int) -> Regression:
    """A regression of `points` points that says nothing yet."""
    shape = (protocol.repeats, len(objects.scored), points, 2)
    size = len(objects.pool(protocol))
    if protocol.draws:
        size = len(next(draws(objects, protocol))[0][0])
    return Regression(
        np.full(shape, np.nan), np.full(shape, np.nan), unknowns(features, protocol.bias), size
    )


def shown_together(visible: np.ndarray) -> np.ndarray:
    """The keypoints that most objects show together, ascending.

    One after the other, that which most of the objects show that show those before; as long as
    at least half of all objects are left.

    Args:
        visible: (n, K) bool.
    """
    kept, rows = [], np.ones(len(visible), dtype=bool)
    while len(kept) < visible.shape[1]:
        count = visible[rows].sum(axis=0)
        count[kept] = -1
        best = int(count.argmax())
        if count[best] < max(SHARE * len(visible), 1):
            break
        kept.append(best)
        rows &= visible[:, best]
    return np.array(sorted(kept), dtype=int)
