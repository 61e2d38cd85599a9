"""Named, versioned sets of the choices that move a score.

A number without its protocol means little in this field: the same predictions score 80 or 70
depending on whose box gives the tolerance. So every such choice is a field of a frozen dataclass
(pck_protocols.py, iod_protocols.py), a preset fills all of them, and the whole preset is written
into the result. A preset whose numbers would change gets a higher version; its name stays.
"""

from collections.abc import Mapping
from typing import TypeVar

from jladkit.errors import UsageError, did_you_mean

Preset = TypeVar("Preset")


def find(presets: Mapping[str, Preset], name: str | None, metric: str) -> Preset:
    """The preset called `name`; the first of the table when `name` is None.

    Raises:
        UsageError: there is none of that name; the text offers the nearest one.
    """
    if name is None:
        return next(iter(presets.values()))
    if name not in presets:
        hint = did_you_mean(name, presets)
        raise UsageError(
            f"Unknown protocol {name!r} for {metric}.{hint} Known: {', '.join(presets)}."
        )
    return presets[name]
