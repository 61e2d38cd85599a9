"""Every dependency has a lower bound, and one exact version, with its digests, in the lock file."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from requirements import ROOT, asked, lowest


def locked() -> dict[str, tuple[Requirement, int]]:
    """By its name, what requirements-lock.txt says of a package, and how many digests it has."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "requirements-lock.txt").read_text()):
        if not entry.startswith("#"):
            line, *digests = re.split(r"\s*\\\n\s*", entry.strip())
            requirement = Requirement(line)
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in digests), line
            found[requirement.name] = requirement, len(digests)
    return found


def version_of(requirement: Requirement) -> Version:
    """The one version that a locked requirement allows."""
    (pin,) = requirement.specifier
    assert pin.operator == "==", requirement
    return Version(pin.version)


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_a_dependency_is_locked_within_its_bounds(requirement: Requirement):
    assert requirement.name in locked(), "make lock"
    assert version_of(locked()[requirement.name][0]) in requirement.specifier, "make lock"


def test_everything_that_is_locked_has_one_version_and_a_digest():
    for requirement, digests in locked().values():
        assert version_of(requirement)
        assert digests, requirement


@pytest.mark.parametrize("requirement", asked(), ids=str)
def test_a_dependency_has_one_lower_bound(requirement: Requirement):
    pin = Requirement(lowest(requirement))
    assert version_of(pin) in requirement.specifier


def test_a_bound_that_is_none_is_refused():
    with pytest.raises(AssertionError, match="must have one lower bound"):
        lowest(Requirement("numpy<3"))
