"""The data card: what people read, what machines read, and that both are the file's."""

import hashlib
import json

import numpy as np
import pytest

from jladkit.builders import croissant, pascal3d
from jladkit.builders.card import card, histogram, table, write_cards
from jladkit.builders.options import Job
from jladkit.formats import dataset
from jladkit.formats.dataset import open_dataset
from jladkit.formats.describe import counts_by, describe
from tests.builders.layouts import build_pascal3d, pascal3d_root, thing, viewpoint, write_record


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The file of a build, with its cards beside it."""
    folder = tmp_path_factory.mktemp("card")
    root = pascal3d_root(folder / "in", 20)
    write_record(root, "car_imagenet/odd", thing(truncated=1))
    return build_pascal3d(root, folder / "a.h5").path


def test_the_card_tells_counts_names_views_terms_and_recipe(built):
    text = built.with_suffix(".card.md").read_text()
    data = open_dataset(built)
    counts = [*np.bincount(data.object_split), *np.bincount(data.pair_split)]
    assert "| car | " + " | ".join(map(str, counts)) + " |" in text
    assert "| 1 | truncated |" in text
    assert "left_wheel 20, nose 20, right_wheel 20, roof 20" in text
    assert f"    0 to 30        20 {'#' * 40}" in text  # every azimuth is 0 to 3
    assert "difference of azimuth in a pair" in text
    assert "| train-test | 0 | 0 | 0.0% |" in text
    assert pascal3d.ABOUT.citation in text
    assert pascal3d.ABOUT.licence in text
    assert "jladkit build-dataset pascal3d ROOT --out again.h5 --recipe-from a.h5" in text
    assert '"azimuth_tolerance": 20.0' in text
    assert data.digest in text


def test_the_record_for_machines_is_about_the_very_file(built):
    record = json.loads(built.with_suffix(".croissant.json").read_text())
    file = record["distribution"][0]
    assert file["contentUrl"] == built.name
    assert file["sha256"] == hashlib.sha256(built.read_bytes()).hexdigest()
    assert record["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    facts = {fact["name"]: fact["value"] for fact in record["additionalProperty"]}
    assert facts["digest"] == open_dataset(built).digest
    reasons = {fact["name"]: fact["value"] for fact in facts["source"]}["left_out"]
    assert reasons == [{"@type": "sc:PropertyValue", "name": "truncated", "value": 1}]


def test_every_term_of_the_record_is_in_its_context_or_schema_org(built):
    record = json.loads(built.with_suffix(".croissant.json").read_text())
    schema_org = {
        "name", "description", "license", "url", "version", "keywords", "creator", "datePublished",
        "distribution", "contentUrl", "contentSize", "encodingFormat", "sha256",
        "additionalProperty", "value",
    }  # fmt: skip

    def terms(node) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(terms, node))
        if isinstance(node, dict):
            return set(node).union(*map(terms, node.values()))
        return set()

    used = {t for t in terms({k: v for k, v in record.items() if k != "@context"}) if t[0] != "@"}
    assert used <= schema_org | set(record["@context"])


def test_the_fields_are_those_of_the_format():
    short = {n for n in dataset.FIELDS if n not in dataset.LONG and not dataset.FIELDS[n].optional}
    assert set(croissant.FIELDS) == short


def test_a_virtual_data_set_names_its_pictures(tmp_path):
    root = pascal3d_root(tmp_path / "in", 12)
    job = Job(out=tmp_path / "a.h5", virtual=True)
    pascal3d.build(root, pascal3d.Options(), job)
    record = json.loads((tmp_path / "a.croissant.json").read_text())
    assert record["distribution"][1]["includes"] == "a.shards/*.h5"


def test_the_same_file_gives_the_same_cards(built):
    names = [built.with_suffix(end) for end in (".card.md", ".croissant.json")]
    before = [path.read_bytes() for path in names]
    write_cards(built, pascal3d.ABOUT)
    assert [path.read_bytes() for path in names] == before


def test_a_card_without_viewpoints_keypoints_or_pairs_says_so(built):
    told = describe(open_dataset(built))
    told["keypoints"] = {"car": {}}
    told["viewpoints"]["known"] = 0
    told["source"] = {**told["source"], "left_out": {}, "leakage": {}}
    text = card(told, pascal3d.ABOUT, "a.h5")
    assert "## Keypoints\n\nNone." in text
    assert "## Viewpoints\n\nNot known." in text
    assert "## Left out\n\nNothing." in text


def test_a_bar_in_a_name_does_not_end_a_cell():
    assert table(["a"], [["x|y"]]) == ["| a |", "| --- |", "| x\\|y |"]


def test_the_longest_bar_is_that_of_the_most():
    lines = histogram("angle", -10, 10, [5, 0, 20])
    assert lines[2].split() == ["-10", "to", "0", "5", "#" * 10]
    assert lines[3].split() == ["0", "to", "10", "0"]
    assert lines[4].endswith("20 " + "#" * 40)
    assert histogram("angle", 0, 10, [0, 0]) == []


def test_counts_fall_into_bins_that_are_open_above_but_the_last():
    assert counts_by(np.array([0.0, 4.9, 5.0, 12.0]), 5) == [2, 1, 1]
    assert counts_by(np.array([0.0, 20.0]), 5) == [1, 0, 0, 1]
    assert counts_by(np.zeros(0), 5) == []
    assert counts_by(np.zeros(0), 30, 12) == [0] * 12


def test_differences_of_azimuth_wrap_around(tmp_path):
    for i in range(12):
        view = viewpoint(azimuth=[355.0, 3.0][i % 2], elevation=1.0)
        write_record(tmp_path / "in", f"car_imagenet/n{i:02}", thing(viewpoint=view))
    data = build_pascal3d(tmp_path / "in", tmp_path / "a.h5")
    counts = describe(data)["viewpoints"]["pair_azimuth_difference_by_5_degrees"]
    assert sum(counts) == len(data.pair_source)
    assert len(counts) == 2
