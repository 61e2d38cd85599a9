"""Everything that has a name, as "module:object", so that nothing is imported before it is used.

To add a builder, a method, a metric or a protocol: write its file, add its line here. Other
packages add theirs as entry points of the groups `jladkit.sources`, `jladkit.methods` and
`jladkit.metrics`; on the command line a method may also be given as "module:Class", of an installed
package or of a file in the current folder.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from jladkit.errors import UsageError, did_you_mean

SOURCES = {
    "caltech101": "jladkit.builders.caltech101:command",
    "celeba": "jladkit.builders.celeba:command",
    "coco": "jladkit.builders.coco:command",
    "folder": "jladkit.builders.folder:command",
    "jlad": "jladkit.builders.jlad:command",
    "join": "jladkit.builders.join:command",
    "mafl": "jladkit.builders.mafl:command",
    "mtfl": "jladkit.builders.mtfl:command",
    "pascal3d": "jladkit.builders.pascal3d:command",
    "pf-pascal": "jladkit.builders.pf_pascal:command",
    "pf-willow": "jladkit.builders.pf_willow:command",
    "spair": "jladkit.builders.spair:command",
    "synthetic": "jladkit.builders.synthetic:command",
    "tss": "jladkit.builders.tss:command",
    "voc": "jladkit.builders.voc:command",
}

METHODS = {
    "a2net": "jladkit.baselines.a2net:A2Net",
    "cig": "jladkit.baselines.cig:Cig",
    "cnngeo": "jladkit.baselines.cnngeo:CNNGeo",
    "cnninlier": "jladkit.baselines.cnninlier:CNNInlier",
    "consensus": "jladkit.baselines.consensus:Consensus",
    "deil": "jladkit.baselines.deil:Deil",
    "fpe": "jladkit.baselines.fpe:Fpe",
    "identity": "jladkit.baselines.floors:Identity",
    "joint": "jladkit.training.joint:Joint",
    "mean-shape": "jladkit.baselines.floors:MeanShape",
    "ncnet": "jladkit.baselines.ncnet:NCNet",
    "nearest": "jladkit.baselines.nearest:Nearest",
    "parn": "jladkit.baselines.parn:Parn",
    "rtn": "jladkit.baselines.rtn:Rtn",
    "strucrep": "jladkit.baselines.strucrep:StrucRep",
}

METRICS = {
    "flow": "jladkit.evaluators.flow:evaluate",
    "iod": "jladkit.evaluators.iod:evaluate",
    "pck": "jladkit.evaluators.pck:evaluate",
    "sparsification": "jladkit.evaluators.sparsification:evaluate",
    "transfer": "jladkit.evaluators.transfer:evaluate",
}

TABLES: dict[str, Mapping[str, str]] = {
    "source": SOURCES,
    "method": METHODS,
    "metric": METRICS,
}


def names(kind: str) -> dict[str, str]:
    """Name to "module:object" for a `kind` of "source", "method" or "metric", in order of name.

    The built-in entries, and those that installed packages add through entry points.
    """
    points = entry_points(group=f"jladkit.{kind}s")
    added = {point.name: point.value.partition("[")[0].strip() for point in points}
    return dict(sorted({**added, **TABLES[kind]}.items()))


def load(kind: str, name: str) -> Any:
    """Import what stands under `name`, or what `name` spells as "module:object".

    A module that is spelled may lie in the current folder.

    Raises:
        UsageError: nothing has that name; the text names the nearest one.
    """
    known = names(kind)
    if name not in known and ":" not in name:
        hint = did_you_mean(name, known)
        raise UsageError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")
    module, _, attribute = known.get(name, name).partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise UsageError(f"{name!r} does not spell a {kind} as module:Class.")
    if name in known:
        return getattr(import_module(module), attribute)
    look_here_too()
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        # Only the user's own spelling is the user's mistake; a failing import stays one.
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        places = "" if sys.flags.safe_path else "in the current folder and "
        raise UsageError(
            f"There is no {kind} {name!r}: {error}. Looked {places}among installed packages; PYTHONPATH "
            "can name more folders."
        ) from error
    if not hasattr(found, attribute):
        place = getattr(found, "__file__", None) or "no file"
        raise UsageError(f"There is no {kind} {name!r}: {module} ({place}) has no {attribute}.")
    return getattr(found, attribute)


def look_here_too() -> None:
    """Let modules of the current folder be imported, as `python -m jladkit` does and the installed
    command does not. Last in line, so that no file there hides a package; and not where Python was
    told to leave the folder out (-P, PYTHONSAFEPATH)."""
    if not sys.flags.safe_path and "" not in sys.path:
        sys.path.append("")
