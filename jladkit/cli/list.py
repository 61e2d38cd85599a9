"""jladkit list"""

from collections.abc import Callable
from importlib import import_module, resources
from inspect import getdoc
from typing import Any

import click

from jladkit import registry
from jladkit.cli.offers import presets_of
from jladkit.cli.text import grid

KINDS = ("datasets", "methods", "metrics", "protocols", "recipes")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), metavar="|".join(KINDS))
def command(kind: str) -> None:
    """What there is to choose from, by name, with a line on each.

    \b
    jladkit list protocols
    """
    makers: dict[str, Callable[[], list[list[str]]]] = {
        "datasets": datasets,
        "methods": methods,
        "metrics": metrics,
        "protocols": protocols,
        "recipes": recipes,
    }
    rows = makers[kind]()
    width = max(len(row) for row in rows)
    heads = {2: ["name", "what it is"], 3: ["metric", "name", "what it is"]}
    click.echo("\n".join(grid(heads[width], rows)))


def datasets() -> list[list[str]]:
    """Sources that `build-dataset` reads."""
    rows: list[list[str]] = []
    for name in registry.names("source"):
        found: click.Command = registry.load("source", name)
        rows.append([name, found.get_short_help_str(200)])
    return rows


def methods() -> list[list[str]]:
    """Methods, with what each does and whether it must be trained."""
    rows: list[list[str]] = []
    for name in registry.names("method"):
        found = registry.load("method", name)
        does = [word for word, has in (("matches", "transfer"), ("finds landmarks", "detect"))
                if hasattr(found, has)]  # fmt: skip
        trained = ", trained" if hasattr(found, "train") else ""
        rows.append([name, f"{first_sentence(found)} ({' and '.join(does)}{trained})"])
    return rows


def metrics() -> list[list[str]]:
    """Metrics, by the first line of their modules."""
    return [[name, first_sentence(module_of("metric", name))] for name in registry.names("metric")]


def protocols() -> list[list[str]]:
    """The presets of every metric, with their versions."""
    rows: list[list[str]] = []
    for metric in registry.names("metric"):
        presets = presets_of(metric).values()
        rows += [[metric, f"{p.name} {p.version}", p.summary] for p in presets]
    return rows


def recipes() -> list[list[str]]:
    """The TOML files that `train --recipe` takes by name, by method."""
    known = registry.names("method")
    rows: list[list[str]] = []
    for file in sorted(resources.files("jladkit.recipes").iterdir(), key=lambda f: f.name):
        method, dash, recipe = file.name.removesuffix(".toml").rpartition("-")
        if file.name.endswith(".toml") and dash and method in known:
            comment = " ".join(leading_comment(file.read_text(encoding="utf-8")))
            rows.append([f"{method} {recipe}", comment.split(". ")[0].rstrip(".")])
    return rows


def leading_comment(text: str) -> list[str]:
    """The lines of comment that a TOML file begins with, without their marks."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return lines


def first_sentence(thing: Any) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((getdoc(thing) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def module_of(kind: str, name: str) -> Any:
    """The module that a registered name is in."""
    return import_module(registry.names(kind)[name].partition(":")[0])
