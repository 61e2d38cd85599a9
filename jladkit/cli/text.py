"""How numbers are printed: in percent, intervals in brackets, columns under one another."""

from collections.abc import Mapping
from typing import Any

from jladkit.formats.result import Result

# The means that stand side by side in every PCK result, and what a protocol's aggregation calls
# them.
MEANS = {
    "pair_mean": ("pair-mean", "mean over pairs"),
    "category_mean": ("category-mean", "mean of categories"),
    "pooled": ("pooled", "pooled points"),
}


def pck_lines(result: Result, strata: bool = False) -> list[str]:
    """PCK by alpha, then by category, then, if asked for, by stratum."""
    rows = result.results
    first, area = rows[0], result.curve.get("area")
    lines = headlines(result)
    lines += ["", f"{first['count']} pairs, {first['points']} keypoints visible in both."]
    if first["left_out"]:
        lines.append(f"{first['left_out']} further pairs share no visible keypoint: left out.")
    if area is not None:
        ends = f"{result.curve['area_from']:g} to {result.curve['area_to']:g}"
        lines.append(f"Mean over all alphas from {ends} (area under the curve): {percent(area)}.")
    lines += ["", *classes("category", "pairs", rows, [row["categories"] for row in rows])]
    for name in first.get("strata", {}) if strata else ():
        counted = "keypoints" if name == "keypoint" else "pairs"
        lines += ["", *classes(name, counted, rows, [row["strata"][name] for row in rows])]
    return lines


def headlines(result: Result) -> list[str]:
    """Alpha by the means, the protocol's own marked; one that is none of them comes first."""
    own = result.protocol.get("aggregation")
    means = {mean: f"{head} *" if code == own else head for mean, (code, head) in MEANS.items()}
    other = own not in {code for code, _ in MEANS.values()}
    lines = grid(
        ["alpha", *(["headline *"] if other else []), *means.values()],
        [
            [
                f"{row['alpha']:g}",
                *([spread(row)] if other else []),
                *(spread(row, mean) for mean in means),
            ]
            for row in result.results
        ],
    )
    return [*lines, "", "* the protocol's own."]


def classes(
    head: str, counted: str, rows: list[dict[str, Any]], own: list[dict[str, dict[str, Any]]]
) -> list[str]:
    """A table of classes by alpha; `own` has for each row {class: {value, low, high, count}}."""
    return grid(
        [head, counted, *(f"alpha {row['alpha']:g}" for row in rows)],
        [
            [name, str(some["count"]), *(spread(classes[name]) for classes in own)]
            for name, some in own[0].items()
        ],
    )


def protocol_lines(results: list[Result], refused: Mapping[str, str]) -> list[str]:
    """One row a protocol, its own headline at each alpha; then why the others have none."""
    alphas = [row["alpha"] for row in results[0].results]
    lines = grid(
        ["protocol", *(f"alpha {alpha:g}" for alpha in alphas), "area", ""],
        [
            [
                f"{result.protocol['name']} {result.protocol['version']}",
                *(spread(row) for row in result.results),
                percent(result.curve.get("area")),
                result.protocol["summary"],
            ]
            for result in results
        ],
    )
    return [*lines, *([""] if refused else []), *(f"{n}: {why}" for n, why in refused.items())]


def percent(value: float | None) -> str:
    """58.4 for 0.584."""
    return "-" if value is None else f"{100 * value:.1f}"


def spread(row: Mapping[str, Any], prefix: str = "") -> str:
    """58.4 [53.1, 63.6], from value, low and high, or from PREFIX, PREFIX_low and PREFIX_high."""
    keys = (prefix, f"{prefix}_low", f"{prefix}_high") if prefix else ("value", "low", "high")
    value, low, high = (row[key] for key in keys)
    return percent(value) if low is None else f"{percent(value)} [{percent(low)}, {percent(high)}]"


def grid(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table whose columns stand under one another."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, ["-" * width for width in widths], *rows]
    ]


def dense_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Flow accuracy by alpha, or label transfer by measure, then by category."""
    first = rows[0]
    kind = "alpha" if "alpha" in first else "measure"
    labels = [f"{row[kind]:g}" if kind == "alpha" else row[kind] for row in rows]
    lines = grid(
        [kind, "mean over pairs", "mean of categories", "of", ""],
        [
            [
                label,
                spread(row),
                percent(row["category_mean"]),
                row["unit"],
                "" if row["higher_is_better"] else "less is better",
            ]
            for label, row in zip(labels, rows, strict=True)
        ],
    )
    lines += ["", f"{first['count']} pairs."]
    if first["left_out"]:
        lines.append(f"{first['left_out']} further pairs have no score: left out.")
    return [*lines, "", *grid(
        ["category", "pairs", *(f"{kind} {label}" if kind == "alpha" else label for label in labels)],
        [
            [name, str(own["count"]), *(spread(row["categories"][name]) for row in rows)]
            for name, own in first["categories"].items()
        ],
    )]  # fmt: skip
