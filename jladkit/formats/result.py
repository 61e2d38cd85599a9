"""result.json: one method, one metric, one protocol, one split. Reports read nothing else.

`results` has a row for each setting of the metric (PCK: each alpha; IOD: each variant of the
regression), the headline first. Numbers are numbers; `unit` names them.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from jladkit.errors import JladkitError
from jladkit.formats.files import to_json, write_text

FORMAT = "jladkit-result"
SCHEMA = 1
REMEDY = "jladkit evaluate --metric pck|iod --data FILE --out DIR"


@dataclass(frozen=True)
class Result:
    """The contents of a result.json.

    Each of `results` is a dict with at least: metric; value (the headline number: the mean over
    pairs for PCK, over images for IOD); unit; higher_is_better; count (items behind the value);
    low and high (95 % interval of the value); categories ({name: {value, count, low, high}}).
    PCK rows add alpha, pooled (over points) and category_mean; IOD rows add variant and floor.
    A number that does not exist is null.
    """

    method: str
    metric: str
    protocol: dict[str, Any]
    split: str
    dataset: str
    dataset_digest: str
    results: list[dict[str, Any]]
    config: dict[str, Any]
    environment: dict[str, Any]
    created: str
    seconds_per_item: float | None = None
    peak_memory: int = 0
    items: str | None = None  # the file beside it with per-item values
    notes: list[str] = field(default_factory=list)
    format: str = FORMAT
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Sorted keys, two spaces, newline at the end: small diffs."""
        return to_json(asdict(self), indent=2) + "\n"


def write_result(path: Path, result: Result) -> None:
    """Write a whole result.json, or nothing."""
    write_text(path, result.to_json())


def read_result(path: Path) -> Result:
    """Read a result.json.

    Raises:
        JladkitError: it is not JSON, of another format or schema, or has missing or unknown keys.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JladkitError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise JladkitError(f"{path} is not a {FORMAT} file. Make one: {REMEDY}")
    if record.get("schema") != SCHEMA:
        raise JladkitError(
            f"{path} has schema {record.get('schema')}, this jladkit reads {SCHEMA}. "
            f"Make it again: {REMEDY}"
        )
    known = {f.name for f in fields(Result)}
    off = sorted(known ^ record.keys())
    if off:
        raise JladkitError(f"{path}: missing or unknown keys: {', '.join(off)}.")
    check_rows(path, record["results"])
    return Result(**record)


def check_rows(path: Path, rows: Any) -> None:
    """Raise JladkitError unless `rows` is a list of records that each have a metric and a value."""
    if not isinstance(rows, list) or not rows:
        raise JladkitError(f"{path}: results must be a list of at least one row.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or "metric" not in row or "value" not in row:
            raise JladkitError(f"{path}: results[{number}] must have a metric and a value.")
