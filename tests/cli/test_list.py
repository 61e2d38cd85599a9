"""jladkit list: every name with a line on it."""

import pytest

from jladkit import registry
from jladkit.cli import list as listing
from tests.cli.conftest import Typed


@pytest.mark.parametrize("kind", listing.KINDS)
def test_every_name_has_a_line_that_says_what_it_is(jladkit: Typed, kind: str):
    code, out, err = jladkit("list", kind)
    assert (code, err) == (0, "")
    lines = out.splitlines()[2:]
    assert lines
    assert all(len(line.split("  ")[-1].strip()) > 10 for line in lines)


def test_what_is_registered_is_listed():
    for kind, rows in (("source", listing.datasets()), ("method", listing.methods()),
                       ("metric", listing.metrics())):  # fmt: skip
        assert [row[0] for row in rows] == list(registry.names(kind))
    assert {"joint cpu", "joint paper"} <= {row[0] for row in listing.recipes()}
    assert ["pck", "jlad 1"] in [row[:2] for row in listing.protocols()]
    assert ["flow", "tss 1"] in [row[:2] for row in listing.protocols()]


def test_no_two_methods_are_told_in_the_same_words():
    told = [row[1] for row in listing.methods()]
    assert len(set(told)) == len(told) > 10
