"""What the shell offers for options whose values are names (click's shell_complete)."""

from importlib import import_module, resources
from typing import Any

import click

from jladkit import registry

Offers = list[str]


def methods(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """Registered methods."""
    return beginning(registry.names("method"), incomplete)


def trained_methods(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """Registered methods but those of the package that have no recipe, since nothing is trained."""
    trained = {method for method, _ in packaged()}
    found = [n for n in registry.names("method") if n in trained or n not in registry.METHODS]
    return beginning(found, incomplete)


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """Recipes in the package: of --method where it stands before, else of all methods."""
    method = ctx.params.get("method")
    found = {recipe for own, recipe in packaged() if method in (None, own)}
    return beginning(sorted(found), incomplete)


def packaged() -> set[tuple[str, str]]:
    """Method and name of each recipe in the package."""
    stems = [file.name.removesuffix(".toml") for file in resources.files("jladkit.recipes").iterdir()
             if file.name.endswith(".toml")]  # fmt: skip
    return {(method, recipe) for method, _, recipe in (stem.rpartition("-") for stem in stems)}


def protocols(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """The presets of --metric where it stands before, else of all metrics; and `all`."""
    metric = ctx.params.get("metric")
    wanted = registry.names("metric") if metric is None else [metric]
    found: list[str] = []
    for name in wanted:
        found += presets_of(name)
    return beginning([*dict.fromkeys(found), "all"], incomplete)


def presets_of(metric: str) -> dict[str, Any]:
    """{name: preset} of a metric; nothing where it has none."""
    module = import_module(registry.load("metric", metric).__module__)
    return getattr(module, f"{metric.upper()}_PROTOCOLS", {})


def beginning(names: Any, incomplete: str) -> Offers:
    """Those of `names` that begin with what was typed."""
    return [name for name in names if name.startswith(incomplete)]
