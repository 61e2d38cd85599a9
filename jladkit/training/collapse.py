"""What has collapsed in a training, read off the last records of its log (jladkit.formats.log).

Losses that pull against each other have ways to be small that teach nothing. Five are known of
the joint method, each with a bound that a healthy run stays away from. (6) to (10) are the
paper's equations, in brackets as in jladkit.model.losses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jladkit.formats.log import Record

RECENT = 20  # steps with a term that its mean is taken over; with fewer, nothing is said yet
BACKGROUND, PEAK = 0.99, 0.05  # mass above, and highest probability below which maps have faded
SPREAD = 0.005  # of the picture's side: landmarks that stray less do not move
DISTINCT = 0.8  # share of landmarks that lie alone, below which they heap up
LOG_SIGMA = (-4.0, 6.0)
DISPLACEMENT = 1e-5  # mean squared, in sides of the picture

MAP_TERMS = ("concentration", "separation", "joint", "equivariance")  # fall when maps collapse


def collapses(records: Sequence[Record], identity: float = 0.0) -> list[str]:
    """What has collapsed, a sentence or two each; nothing is said of terms that the log lacks.

    Args:
        records: of a run, in order of their steps; all of them, or the latest.
        identity: weight of the loss's pull towards the identity (loss.identity), which alone makes
            a field that stands still a collapse.
    """
    found = (
        faded(records), still(records), heaped(records), unsure(records), frozen(records, identity)
    )  # fmt: skip
    return [sentence for sentence in found if sentence is not None]


def faded(records: Sequence[Record]) -> str | None:
    """Landmark maps that went into the background."""
    now = recent(records, "background", "peak")
    if now is None or not (now["background"] > BACKGROUND and now["peak"] < PEAK):
        return None
    return (
        f"The landmark maps have faded{until(now)}: background mass {now['background']:.4f} (above "
        f"{BACKGROUND}), peak {now['peak']:.4f} (below {PEAK}). (8) and (10) see nothing in such maps"
        f"{fallen(records, MAP_TERMS)}. Raise loss.presence, or lower model.background."
    )


def still(records: Sequence[Record]) -> str | None:
    """Landmarks that lie at one place in every picture."""
    told = [record for record in records if "spread" in record.get("validation", {})]
    if not told or not told[-1]["validation"]["spread"] < SPREAD:
        return None
    return (
        f"The landmarks do not move at step {told[-1]['step']}: they stray from their mean place by "
        f"{told[-1]['validation']['spread']:.4f} of the picture's side (below {SPREAD}). A landmark "
        f"that stands still costs (8), (9) and (10) little{fallen(records, MAP_TERMS)}. "
        "Raise loss.equivariance, which alone asks it to move."
    )


def heaped(records: Sequence[Record]) -> str | None:
    """Landmarks that lie on one another."""
    told = [record for record in records if "distinct" in record.get("validation", {})]
    if not told or not told[-1]["validation"]["distinct"] < DISTINCT:
        return None
    return (
        f"Landmarks lie on one another at step {told[-1]['step']}: {told[-1]['validation']['distinct']:.0%} "
        "of them are more than 1 % of the picture's side away from every other (below "
        f"{DISTINCT:.0%}). (9) is flat where two coincide, and its margin may be more than the object "
        "has room for. Lower loss.margin, or have fewer landmarks."
    )


def unsure(records: Sequence[Record]) -> str | None:
    """Sigma so small or so large that (6) is about sigma alone."""
    now = recent(records, "log_sigma")
    if now is None or LOG_SIGMA[0] <= now["log_sigma"] <= LOG_SIGMA[1]:
        return None
    low = now["log_sigma"] < LOG_SIGMA[0]
    bound = f"below {LOG_SIGMA[0]:g}" if low else f"above {LOG_SIGMA[1]:g}"
    why = (
        "(6) is paid for by a small sigma alone, and divides every mistake by it"
        if low
        else "(6) divides every mistake by it, and neither (6) nor (10) teaches the field any more"
    )
    entropy = recent(records, "cross_entropy")
    beside = f" The cross-entropy within it is {entropy['cross_entropy']:.3g}." if entropy else ""
    return (
        f"The uncertainty swallows (6){until(now)}: mean log sigma {now['log_sigma']:.2f} ({bound}). "
        f"{why}.{beside} Compare model.uncertainty=false."
    )


def frozen(records: Sequence[Record], identity: float) -> str | None:
    """A field that stands still under a pull towards the identity."""
    now = recent(records, "displacement")
    if now is None or not identity > 0 or not now["displacement"] < DISPLACEMENT:
        return None
    return (
        f"The field froze at the identity{until(now)}: displacement {now['displacement']:.2g} (below "
        f"{DISPLACEMENT:g}). The pull of loss.identity ({identity:g}) outweighs "
        f"{'(6) and (10)' if recent(records, 'joint') else '(6)'}. Lower it."
    )


def recent(records: Sequence[Record], *names: str) -> dict[str, float] | None:
    """The mean of each of `names` over the last RECENT records that have them all, and under
    "step" the last of these steps; None where there are fewer."""
    told = [record for record in records if all(name in record for name in names)][-RECENT:]
    if len(told) < RECENT:
        return None
    return {**means(told, names), "step": told[-1]["step"]}


def means(records: Sequence[Record], names: Sequence[str]) -> dict[str, float]:
    """The mean of each of `names` over `records`, which have them all."""
    return {name: sum(record[name] for record in records) / len(records) for name in names}


def until(now: Mapping[str, Any]) -> str:
    """When `recent` was."""
    return f" by step {now['step']} (mean of {RECENT} steps)"


def fallen(records: Sequence[Record], names: Sequence[str]) -> str:
    """Which of the terms `names` gained most by a collapse, as words that go on a sentence: the
    one that is the smallest share of what it was at first. "" where none is half of it."""
    shares: dict[str, tuple[float, float, float]] = {}
    for name in names:
        told = [record for record in records if name in record]
        if len(told) >= 2 * RECENT:
            first, last = (means(part, [name])[name] for part in (told[:RECENT], told[-RECENT:]))
            if first > 0:
                shares[name] = (last / first, first, last)
    if not shares:
        return ""
    name = min(shares, key=lambda one: shares[one])
    share, first, last = shares[name]
    return f"; most fell {name}, from {first:.3g} to {last:.3g}" if share < 0.5 else ""
