"""Recipes: TOML files whose sections fill frozen dataclasses. Defaults < file < --set."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from jladkit.errors import JladkitError, UsageError, did_you_mean

Section = TypeVar("Section")
Table = dict[str, dict[str, Any]]
LONGEST = 1 << 20  # bytes of a recipe; ours have about a thousand
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list[str]: "a list of texts",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
}


def read_recipe(method: str, recipe: str, settings: Sequence[str] = ()) -> Table:
    """The sections of a recipe, with `settings` put over them.

    Args:
        method: whose recipe; "joint" has joint-cpu.toml and joint-paper.toml in the package.
        recipe: a name such as "cpu", or the path of a TOML file.
        settings: "section.key=value", the value in TOML ("train.batch=8", "model.weights='x'");
            a value that is no TOML is taken as text.

    Raises:
        UsageError: no such recipe, or a setting without a section or a value.
        JladkitError: the file is not TOML.
    """
    return set_over(parse(*recipe_text(method, recipe)), settings)


def set_over(table: Table, settings: Sequence[str]) -> Table:
    """`table` with settings put over it; see `read_recipe`.

    Raises:
        UsageError: a setting has no section, no key or no value.
    """
    for setting in settings:
        path, equals, value = setting.partition("=")
        section, dot, key = path.strip().partition(".")
        if not (equals and dot and section and key):
            raise UsageError(f"--set must be section.key=value, not {setting!r}.")
        table.setdefault(section, {})[key] = toml_value(value.strip())
    return table


def recipe_text(method: str, recipe: str) -> tuple[str, str]:
    """(where from, text) of a recipe given by name or path."""
    if recipe.endswith(".toml"):
        try:
            with Path(recipe).open("rb") as file:
                raw = file.read(LONGEST + 1)
            if len(raw) > LONGEST:
                raise UsageError(f"{recipe} is longer than {LONGEST} bytes; that is no recipe.")
            return recipe, raw.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The recipe {recipe} cannot be read: {error}.") from error
    folder = resources.files("jladkit.recipes")
    file = folder / f"{method}-{recipe}.toml"
    if not file.is_file():
        known = [f.name for f in folder.iterdir() if f.name.startswith(f"{method}-")]
        short = sorted(n.removeprefix(f"{method}-").removesuffix(".toml") for n in known)
        raise UsageError(
            f"The method {method} has no recipe {recipe!r}.{did_you_mean(recipe, short)} It has: "
            f"{', '.join(short) or 'none'}; or give the path of a .toml file."
        )
    return file.name, file.read_text(encoding="utf-8")


def parse(where: str, text: str) -> Table:
    """Sections of a TOML text; nothing may stand outside a section."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
        raise JladkitError(f"{where} is not TOML: {error}.") from error
    loose = [key for key, value in table.items() if not isinstance(value, dict)]
    if loose:
        raise JladkitError(f"{where}: {', '.join(loose)} must stand in a section, [train] say.")
    return table


def toml_value(text: str) -> Any:
    """What `text` means in TOML, or the text itself."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except (ValueError, RecursionError):
        return text


def fill(sections: Mapping[str, type[Any]], table: Table) -> dict[str, Any]:
    """One dataclass a section.

    Raises:
        UsageError: a section or key is unknown, or a value has the wrong type.
    """
    unknown = table.keys() - sections.keys()
    if unknown:
        hint = did_you_mean(min(unknown), sections)
        raise UsageError(f"Unknown section [{min(unknown)}].{hint} Known: {', '.join(sections)}.")
    return {name: fill_section(name, cls, table.get(name, {})) for name, cls in sections.items()}


def fill_section(name: str, cls: type[Section], values: Mapping[str, Any]) -> Section:
    """A dataclass from the keys of its section."""
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # pyright: ignore[reportArgumentType]
    for key, value in values.items():
        if key not in known:
            hint = did_you_mean(key, known)
            raise UsageError(f"[{name}] has no key {key!r}.{hint} Known: {', '.join(known)}.")
        wanted = hints[key]
        if not is_a(value, wanted):
            raise UsageError(f"{name}.{key} must be {KINDS[wanted]}, but is {value!r}.")
    needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}  # pyright: ignore[reportArgumentType]
    if needed - values.keys():
        raise UsageError(f"[{name}] must have the key {min(needed - values.keys())}.")
    numbers = {k: float(v) if hints[k] is float else v for k, v in values.items()}
    return cls(**numbers)


def is_a(value: Any, kind: Any) -> bool:
    """Whether a TOML value is of `kind`; a whole number may stand for a float, nan and inf not."""
    if get_args(kind):
        return type(value) is list and all(is_a(part, get_args(kind)[0]) for part in value)
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def as_table(config: Mapping[str, Any]) -> Table:
    """The dataclasses back as plain sections, for files."""
    return {name: asdict(section) for name, section in config.items()}
