"""The commands that make a result again, read off what the result says of itself."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from jladkit.formats.result import Result


def commands(result: Result) -> str:
    """The jladkit commands behind a result, one a paragraph, for a shell.

    Every setting of a training is spelled out, so that they stay true when a recipe changes.
    NAME.h5 stands for the data set of that name, which the digest in the result tells apart. For
    predictions that others made it begins where theirs end.
    """
    config, told = result.config, []
    if "config" in config and "dataset" in config:  # trained here
        run = f"runs/{result.method}"
        told.append(["jladkit", "train", "--data", f"{config['dataset']}.h5", "--method",
                     result.method, "--out", run, *spelled(config["config"])])  # fmt: skip
        source = ["--checkpoint", run]
    elif "official" in config:  # weights that the method's authors released
        source = ["--method", result.method, "--checkpoint", str(config["official"])]
    elif "jladkit" in result.environment:
        settable = spelled({"model": config}) if "backbone" in config else []
        source = ["--method", result.method, *settable]
    else:
        source = ["--predictions", f"{result.method}.csv"]
    told.append(["jladkit", "evaluate", "--metric", result.metric, "--data",
                 f"{result.dataset}.h5", "--split", result.split, *source, *choices(result),
                 "--out", "results"])  # fmt: skip
    return "\n\n".join(wrapped(words) for words in told)


def spelled(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """--set section.key=value for every setting; JSON's values are TOML's too."""
    return [
        word
        for section, keys in sorted(sections.items())
        for key, value in sorted(keys.items())
        for word in ("--set", f"{section}.{key}={json.dumps(value, ensure_ascii=False)}")
    ]


def choices(result: Result) -> list[str]:
    """The options that say how a result was scored."""
    protocol = result.protocol
    words = ["--protocol", str(protocol["name"])]
    for option in ("normaliser", "fit_rows"):
        if protocol.get(option) is not None:
            words += [f"--{option.replace('_', '-')}", str(protocol[option])]
    if protocol.get("repeats", 1) != 1:
        words += ["--repeats", str(protocol["repeats"])]
    alphas = dict.fromkeys(row["alpha"] for row in result.results if "alpha" in row)
    return [*words, *(["--alpha", *(f"{alpha:g}" for alpha in alphas)] if alphas else [])]


def wrapped(words: list[str]) -> str:
    """A command with an option a line."""
    lines: list[str] = []
    for word in map(shlex.quote, words):
        if word.startswith("--") or not lines:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n    ".join(lines)
