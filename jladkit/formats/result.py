"""result.json: one method, one metric, one protocol, one split. Reports read nothing else.

`results` has a row for each setting of the metric (PCK: each alpha; IOD: each variant of the
regression), the headline first. Numbers are numbers; `unit` names them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any

from jladkit.errors import JladkitError
from jladkit.formats.files import check_schema, is_unicode, to_json, write_text

FORMAT = "jladkit-result"
SCHEMA = 1
REMEDY = "jladkit evaluate --metric pck|iod --data FILE --out DIR"


@dataclass(frozen=True)
class Result:
    """The contents of a result.json.

    Each of `results` is a dict with at least: metric; value (the headline number: for PCK as the
    protocol's aggregation has it, for IOD the mean over images); unit; higher_is_better; count
    (items behind the value); low and high (95 % interval of the value); categories ({name: {value,
    count, low, high}}). PCK rows add alpha, pooled (over points) and category_mean, and since they
    exist pair_mean, and for each of these NAME_low and NAME_high; and strata ({stratum: {class:
    {value, count, low, high}}}, count being pairs, or keypoints for the stratum "keypoint"). IOD
    rows add variant and floor, in categories too, and since they exist backward (the same again
    for the map from keypoints to landmarks, with explained and apart) and, where chance decides
    what is fitted on, repeats; the first also keypoints in each category ({name: {value, floor,
    count}}). A number that does not exist is null.
    """

    method: str
    metric: str
    protocol: dict[str, Any]  # every choice that moves the number; name, version, summary in words
    split: str
    dataset: str
    dataset_digest: str
    results: list[dict[str, Any]]
    config: dict[str, Any]  # of the method, whole
    environment: dict[str, Any]  # of the machine that predicted
    created: str  # when the predictions were made, so that scoring them again gives the same file
    predictions_digest: str = ""  # over the points that were scored
    statistics: dict[str, Any] = field(default_factory=dict)  # how low and high were found
    # PCK: lists "alpha" and "value"; and "area", the mean of the value over all alphas from
    # "area_from" to "area_to". Sparsification: lists "kept" (share of the points, falling), "value",
    # "oracle" and "random", and "low" and "high" of value where there is an interval.
    curve: dict[str, Any] = field(default_factory=dict)
    seconds_per_item: float | None = None
    peak_memory: int = 0
    items: str | None = None  # the file beside it with per-item values
    notes: list[str] = field(default_factory=list)
    format: str = FORMAT
    schema: int = SCHEMA

    @property
    def title(self) -> str:
        """The metric as a heading spells it."""
        return self.metric.upper() if len(self.metric) <= 3 else self.metric.capitalize()

    def to_json(self) -> str:
        """Sorted keys, two spaces, newline at the end: small diffs."""
        return to_json(asdict(self), indent=2) + "\n"


# What each key of a record may hold. JSON's true is a number to Python, so booleans are told apart.
NUMBER = (Real, type(None))
KEYS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "metric": (str,),
    "protocol": (dict,),
    "split": (str,),
    "dataset": (str,),
    "dataset_digest": (str,),
    "results": (list,),
    "config": (dict,),
    "environment": (dict,),
    "created": (str,),
    "predictions_digest": (str,),
    "statistics": (dict,),
    "curve": (dict,),
    "seconds_per_item": NUMBER,
    "peak_memory": (int,),
    "items": (str, type(None)),
    "notes": (list,),
    "schema": (int,),
}
CATEGORY_KEYS: dict[str, tuple[type, ...]] = {
    "value": NUMBER,
    "count": (int,),
    "low": NUMBER,
    "high": NUMBER,
}
PROTOCOL_KEYS: dict[str, tuple[type, ...]] = {"name": (str,), "version": (int,), "summary": (str,)}
ROW_KEYS: dict[str, tuple[type, ...]] = {
    **CATEGORY_KEYS,
    "metric": (str,),
    "unit": (str,),
    "higher_is_better": (bool,),
    "categories": (dict,),
}
METRIC_KEYS: dict[str, dict[str, tuple[type, ...]]] = {
    "pck": {"alpha": (Real,), "pooled": NUMBER, "category_mean": NUMBER},
    "iod": {"variant": (str,), "floor": NUMBER},
    "flow": {"alpha": (Real,), "pooled": NUMBER, "category_mean": NUMBER},
    "transfer": {"measure": (str,), "category_mean": NUMBER},
    "sparsification": {"measure": (str,), "alpha": (Real,)},
}


# Numbers that a row or a category need not have, and what may go with each.
MEANS = ("floor", "pooled", "pair_mean", "category_mean")
EXTRAS = [mean + end for mean in MEANS for end in ("", "_low", "_high")]


def write_result(path: Path, result: Result) -> None:
    """Write a whole result.json, or nothing."""
    write_text(path, result.to_json())


def read_result(path: Path) -> Result:
    """Read a result.json.

    Raises:
        JladkitError: it is not JSON, of another format or schema, has missing or unknown keys, or
            a key holds something of the wrong type.
    """
    record = read_record(path)
    if record is None:
        raise JladkitError(f"{path} is not a {FORMAT} file. Make one: {REMEDY}")
    check_schema(path, record.get("schema"), SCHEMA, f"make it again: {REMEDY}")
    known = {f.name for f in fields(Result)}
    off = sorted(known ^ record.keys())
    if off:
        raise JladkitError(
            f"{path}: missing or unknown keys: {', '.join(off)}. Make it again: {REMEDY}"
        )
    try:
        whole = is_unicode(record)
    except ValueError as error:
        raise JladkitError(
            f"{path} holds NaN or infinity, which JSON does not have. Make it again: {REMEDY}"
        ) from error
    if not whole:
        raise JladkitError(f"{path} has half a character in it. Make it again: {REMEDY}")
    check_keys(path, "", record, KEYS)
    check_keys(path, "protocol", record["protocol"], PROTOCOL_KEYS)
    check_rows(path, record["results"])
    check_curve(path, record["curve"])
    return Result(**record)


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file that says it is one of ours; None for any other JSON.

    Raises:
        JladkitError: the file cannot be read, or is not JSON.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JladkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise JladkitError(f"{path} is not JSON: {error}. Make it again: {REMEDY}") from error
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def check_rows(path: Path, rows: Any) -> None:
    """Raise JladkitError unless `rows` is a list of records as Result describes them."""
    if not isinstance(rows, list) or not rows:
        raise JladkitError(f"{path}: results must be a list of at least one row.")
    for number, row in enumerate(rows):
        where = f"results[{number}]"
        if not isinstance(row, dict):
            raise JladkitError(f"{path}: {where} must be a record, but is {row!r}.")
        check_keys(path, where, row, ROW_KEYS)
        check_keys(path, where, row, METRIC_KEYS.get(row["metric"], {}))
        check_keys(path, where, row, {key: NUMBER for key in EXTRAS if key in row})
        for name, category in row["categories"].items():
            if not isinstance(category, dict):
                raise JladkitError(f"{path}: {where} categories {name} must be a record.")
            extras = {key: NUMBER for key in EXTRAS if key in category}
            check_keys(path, f"{where} categories {name}", category, CATEGORY_KEYS | extras)
        check_strata(path, where, row.get("strata", {}))


def check_strata(path: Path, where: str, strata: Any) -> None:
    """Raise JladkitError unless `strata` is {stratum: {class: a record like a category's}}."""
    whole = isinstance(strata, dict) and all(isinstance(own, dict) for own in strata.values())
    if not whole:
        raise JladkitError(f"{path}: {where} strata must be a record of records.")
    for name, classes in strata.items():
        for label, record in classes.items():
            place = f"{where} strata {name} {label}"
            if not isinstance(record, dict):
                raise JladkitError(f"{path}: {place} must be a record.")
            check_keys(path, place, record, CATEGORY_KEYS)


def check_curve(path: Path, curve: Mapping[str, Any]) -> None:
    """Raise JladkitError unless `curve` is empty, or its lists have as many numbers as the one of
    alphas or of shares kept."""
    axis = "kept" if "kept" in curve else "alpha"
    drawn = [axis, "value", *(["oracle", "random"] if axis == "kept" else [])]
    told = [curve.get(name, []) for name in (*drawn, *({"low", "high"} & curve.keys()))]
    lists = all(isinstance(one, list) and len(one) == len(told[0]) for one in told)
    if not lists or not all(isinstance(number, Real) for one in told for number in one):
        raise JladkitError(f"{path}: curve must have as many numbers in {axis} as in value.")


def check_keys(
    path: Path, where: str, record: Mapping[str, Any], keys: Mapping[str, tuple[type, ...]]
) -> None:
    """Raise JladkitError unless `record` has all `keys`, each holding one of its types."""
    for key, types in keys.items():
        place = f"{where} {key}".strip()
        if key not in record:
            raise JladkitError(f"{path}: {place} is missing.")
        value = record[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            names = " or ".join(TYPE_NAMES[t] for t in types)
            raise JladkitError(f"{path}: {place} must be {names}, but is {value!r}.")


TYPE_NAMES = {
    str: "text",
    dict: "a record",
    list: "a list",
    Real: "a number",
    int: "a whole number",
    bool: "true or false",
    type(None): "null",
}
