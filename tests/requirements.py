"""What pyproject.toml asks for, and the lowest versions that it allows.

python tests/requirements.py prints those, one a line, as `make lowest` gives them to pip.
"""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def asked() -> list[Requirement]:
    """What jladkit and all its extras need, but for jladkit itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    found = [Requirement(line) for lines in lists for line in lines]
    return [one for one in found if one.name != "jladkit"]


def lowest(requirement: Requirement) -> str:
    """The lowest version that `requirement` allows, as a requirement of that version alone."""
    bounds = list(requirement.specifier)
    assert [bound.operator for bound in bounds] == [">="], (
        f"{requirement} must have one lower bound and nothing else."
    )
    return f"{requirement.name}=={bounds[0].version}"


if __name__ == "__main__":
    print(*map(lowest, asked()), sep="\n")
