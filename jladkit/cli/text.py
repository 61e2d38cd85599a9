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
PERCENT = "In percent, with 95 % intervals (bootstrap)."


def as_text(result: Result, strata: bool = False) -> str:
    """A result as a person reads it: percent, intervals in brackets; with `strata` PCK by what is
    known of the pairs too."""
    protocol = result.protocol
    lines = [
        f"{result.title} of {result.method} on {result.dataset}, {result.split} split",
        f"{protocol['name']} {protocol['version']}: {protocol['summary']}",
        "",
    ]
    if result.metric == "pck":
        lines += pck_lines(result, strata)
    elif result.metric == "sparsification":
        lines += sparsification_lines(result)
    elif result.metric in ("flow", "transfer"):
        lines += dense_lines(result.results)
    else:
        lines += iod_lines(result)
    lines += ["", PERCENT]
    lines += [f"Note: {note}" for note in result.notes]
    return "\n".join(lines)


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


def protocol_lines(results: list[Result]) -> list[str]:
    """One row a PCK protocol, its own headline at each alpha."""
    alphas = [row["alpha"] for row in results[0].results]
    return grid(
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


def iod_lines(result: Result) -> list[str]:
    """IOD by variant of the regression; then, for the first, by category and by keypoint."""
    rows = result.results
    first, back = rows[0], rows[0]["backward"]
    lines = variants(rows)
    lines += ["", f"Share of the {first['unit']}, {first['landmarks']} landmarks; less is better."]
    lines.append(f"Mean of categories: {percent(first['category_mean'])}.")
    if first["left_out"]:
        lines.append(f"{first['left_out']} further images cannot be scored: left out.")
    lines += ["", *grid(
        ["category", "images", "error", "floor", *BACKWARD, "apart", "images"],
        [
            [name, str(row["count"]), spread(row), percent(row["floor"]),
             *backward_cells(back["categories"].get(name)),
             percent(back["categories"].get(name, {}).get("apart")),
             str(back["categories"].get(name, {}).get("count", 0))]
            for name, row in first["categories"].items()
        ],
    )]  # fmt: skip
    lines.append("")
    for name, row in first["categories"].items():
        points = (f"{key} {percent(own['value'])}" for key, own in row["keypoints"].items())
        lines.append(f"{name} by keypoint: {', '.join(points)}.")
    return lines


def variant_lines(results: list[Result]) -> list[str]:
    """One row an IOD protocol, from the first row of its own result."""
    lines = variants([result.results[0] for result in results])
    return [*lines, "", f"Share of the {results[0].results[0]['unit']}; less is better."]


BACKWARD = ("backward", "its floor", "explained")


def variants(rows: list[dict[str, Any]]) -> list[str]:
    """A table of IOD by variant, with how far draws differ where there are several."""
    drawn = any("repeats" in row for row in rows)
    return grid(
        ["variant", "error", *(["sd of draws"] if drawn else []), "floor", "images", "keypoints",
         "fitted on", *BACKWARD, ""],
        [
            [row["variant"], spread(row),
             *([percent(row.get("repeats", {}).get("deviation"))] if drawn else []),
             percent(row["floor"]), str(row["count"]), str(row["keypoints"]),
             str(row["fitted_on"]), *backward_cells(row["backward"]), row["summary"]]
            for row in rows
        ],
    )  # fmt: skip


def backward_cells(row: Mapping[str, Any] | None) -> list[str]:
    """The cells of BACKWARD."""
    return [percent(row[key] if row else None) for key in ("value", "floor", "explained")]


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


SHOWN_KEPT = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.05)  # rows of a printed sparsification curve


def sparsification_lines(result: Result) -> list[str]:
    """The measures of sparsification, the curve at some shares, then gain by category."""
    rows, curve = result.results, result.curve
    first = rows[0]
    lines = grid(
        ["measure", "value", "of", ""],
        [
            [row["measure"], spread(row), row["unit"],
             "more is better" if row["higher_is_better"] else "less is better"]
            for row in rows
        ],
    )  # fmt: skip
    lines += [
        "",
        f"{first['count']} points of {first['pairs']} pairs, pooled; the surest of them kept:",
        "",
    ]
    names = ("value", "random", "oracle")
    lines += grid(
        ["kept", f"PCK@{first['alpha']:g} by sigma", *names[1:]],
        [
            [percent(share), *(percent(curve[name][place]) for name in names)]
            for place, share in enumerate(curve["kept"])
            if share in SHOWN_KEPT
        ],
    )
    return [*lines, "", *grid(
        ["category", "points", *(row["measure"] for row in rows)],
        [
            [name, str(own["count"]), *(spread(row["categories"][name]) for row in rows)]
            for name, own in first["categories"].items()
        ],
    )]  # fmt: skip
