import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest

from jladkit.formats.dataset import open_dataset
from jladkit.formats.predictions import write_predictions
from jladkit.formats.result import write_result
from tests.reports.test_tables import iod_result, pck_result, sparsification_result
from tests.tiny import predicted, tiny_dataset, true_points


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_result(folder / "results/a.json", pck_result("identity"))
    write_result(folder / "results/b.json", pck_result("<script>alert(1)</script>", 0.6))
    write_result(folder / "results/c.json", iod_result())
    write_result(folder / "results/d.json", pck_result("elsewhere", dataset_digest="other"))
    write_result(folder / "results/e.json", sparsification_result())
    data = tiny_dataset(folder / "tiny.h5")
    write_predictions(folder / "oracle.h5", predicted(data))
    return folder


@pytest.fixture
def run(jladkit):
    return partial(jladkit, "report")


def test_a_folder_of_results_becomes_tables_figures_and_a_page(run, folder, tmp_path):
    code, out, err = run(
        folder / "results", "--out", tmp_path,
        "--data", folder / "tiny.h5", "--predictions", folder / "oracle.h5",
    )  # fmt: skip
    assert code == 0, err
    assert out.strip() == str(tmp_path / "index.html")
    names = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    stem = "pck-tiny-jlad-test-abcdef"
    assert {
        "index.html",
        "figures/pairs.png",
        f"figures/{stem}.png",
        f"figures/{stem}.svg",
        f"tables/{stem}.csv",
        f"tables/{stem}-alphas.md",
        f"tables/{stem}-alphas.tex",
        f"tables/{stem}-categories.md",
        "tables/iod-tiny-imm-test-abcdef-variants.tex",
        "tables/pck-tiny-jlad-test-other.csv",
        "figures/sparsification-tiny-jlad-test-abcdef.svg",
        "tables/sparsification-tiny-jlad-test-abcdef-kept.md",
    } <= names
    assert not any(name.endswith(".part") for name in names)
    text = (tmp_path / "index.html").read_text()
    assert "PCK over alpha; bars" in text and "when the most unsure are left out" in text
    assert 'id="pairs"' in text and "of 20 pairs: from each category" in text


def test_pairs_are_drawn_alike_from_a_file_of_others_in_either_frame(run, folder, tmp_path):
    true = true_points(open_dataset(folder / "tiny.h5"))
    points = np.round(true + np.random.default_rng(0).normal(0, 3, true.shape))
    for name, values, frame in (("a", points, "crop"), ("b", 2 * points + 5, "source")):
        with h5py.File(tmp_path / "oracle.h5", "w") as file:
            file["pair/points"] = values
        code, _, err = run(
            folder / "results", "--out", tmp_path / name, "--data", folder / "tiny.h5",
            "--predictions", tmp_path / "oracle.h5", "--frame", frame,
        )  # fmt: skip
        assert code == 0, err
    drawn = [(tmp_path / name / "figures/pairs.png").read_bytes() for name in ("a", "b")]
    assert drawn[0] == drawn[1]


class Balance(HTMLParser):
    """Notes tags that are not closed, and everything that would be fetched."""

    def __init__(self):
        super().__init__()
        self.stack, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_the_page_stands_alone_and_shows_names_as_text(run, folder, tmp_path):
    run(folder / "results", "--out", tmp_path)
    text = (tmp_path / "index.html").read_text()
    page = Balance()
    page.feed(text)
    assert page.stack == []
    assert all(link.startswith("#") for link in page.links)
    assert text.count("<script") == 1 and "&lt;script&gt;" in text
    assert 'name="viewport"' in text and not re.search(r"@import|url\(", text)


def test_a_pivot_is_written_in_four_forms_and_shown(run, folder, tmp_path):
    words = (folder / "results/a.json", "--out", tmp_path, "--rows", "method")
    code, _, err = run(*words, "--columns", "category", "--metric", "pck", "--alpha", "0.1")
    assert code == 0, err
    names = {path.name for path in (tmp_path / "tables").glob("pivot.*")}
    assert names == {"pivot.md", "pivot.tex", "pivot.csv", "pivot.html"}
    assert "method by category" in (tmp_path / "index.html").read_text()


def test_best_and_second_are_told_apart_by_the_tables_of_items(jladkit, folder, tmp_path):
    data = open_dataset(folder / "tiny.h5")
    for method, off in (("exact", 0), ("near", 1.5), ("far", 40)):
        said = predicted(data, method=method, pair_points=true_points(data) + off)
        write_predictions(tmp_path / f"{method}.h5", said)
        code, _, err = jladkit(
            "evaluate", "--data", folder / "tiny.h5", "--predictions", tmp_path / f"{method}.h5",
            "--out", tmp_path / "results", "--alpha", "0.05", "0.1",
        )  # fmt: skip
        assert code == 0, err
    code, _, err = jladkit("report", tmp_path / "results", "--out", tmp_path / "report")
    assert code == 0, err
    (table,) = (tmp_path / "report/tables").glob("*-alphas.md")
    lines = {line.split("|")[1].strip(): line for line in table.read_text().splitlines()[2:]}
    assert "**100.0**" in lines["exact"] and lines["near"].count("<u>") == 2
    assert "<u>100.0</u>" in lines["exact"]  # at 0.1 near is as good


def test_the_same_results_give_the_same_files(run, folder, tmp_path):
    for name in ("a", "b"):
        run(folder / "results", "--out", tmp_path / name)
    for path in (tmp_path / "a").rglob("*.*"):
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ([], 2, "Missing argument 'RESULT...'"),
        (["{}/none", "--out", "{}/out"], 1, "There is no file or folder"),
        (["{}/tiny.h5", "--out", "{}/out"], 1, "tiny.h5 is not JSON"),
        (["{}/results", "--out", "{}/out", "--data", "{}/tiny.h5"], 2, "together"),
        (["{}/results", "--out", "{}/out", "--predictions", "{}/oracle.h5"], 2, "together"),
        (["{}/results", "--out", "{}/out", "--data", "{}/oracle.h5", "--predictions",
          "{}/oracle.h5"], 1, "must be a jladkit-dataset file"),
        (["{}/results", "--out", "{}/tiny.h5"], 2, "is a file"),
        (["{}/results", "--out", "{}/out", "--rows", "method"], 2, "--rows and --columns together"),
        (["{}/results", "--out", "{}/out", "--alpha", "0.1"], 2, "are of the table of --rows"),
        (["{}/results", "--out", "{}/out", "--rows", "method", "--columns", "method"], 2, "differ"),
        (["{}/results", "--out", "{}/out", "--rows", "method", "--columns", "category"], 2,
         "Give --metric"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_sentence_and_leaves_nothing(run, folder, args, code, words):
    found, _, err = run(*(arg.replace("{}", str(folder)) for arg in args))
    assert found == code
    assert words in err and "Traceback" not in err
    assert not (folder / "out").exists()


def test_a_report_does_not_import_torch(folder, tmp_path):
    code = (
        "import sys; from jladkit.cli import main\n"
        f"sys.argv = ['jladkit', 'report', {str(folder / 'results')!r}, '--out', {str(tmp_path)!r}]\n"
        "main(); assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env=os.environ, timeout=120
    )


def test_its_help_needs_neither_pandas_nor_matplotlib():
    code = (
        "import sys; import jladkit.cli.report, jladkit.cli.evaluate\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'scipy'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=60, check=False)
    assert done.returncode == 0
