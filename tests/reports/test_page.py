"""The page in a browser: what a reader does with it, and what a hostile name must not do."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from jladkit.reports.board_tables import tables
from jladkit.reports.gallery import gallery
from jladkit.reports.page import page as page_of
from jladkit.reports.pivot import pivot
from jladkit.reports.tables import boards as boards_of
from tests.reports.test_tables import iod_result, pck_result, sparsification_result
from tests.tiny import predicted, tiny_dataset, true_points

NEEDED = "JLADKIT_NEEDS_CHROMIUM"  # where it is set, no browser is a failure
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
HOSTILE = (
    "<script>window.hit = 1</script>",
    '"><img src=x onerror="window.hit = 2">',
    "</script><script>window.hit = 3</script>",
)
RESNET = {"config": {"model": {"backbone": "resnet101", "size": 240}, "train": {"seed": 0}},
          "dataset": "tiny", "dataset_digest": "abcdef0123"}  # fmt: skip
SCNET = {"name": "scnet", "version": 1, "summary": "squashed"}
PAGE_BYTES = 5_000_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(found):
        why = "The page's tests need chromium and chromedriver: apt-get install chromium chromium-driver."
        (pytest.fail if os.environ.get(NEEDED) else pytest.skip)(why)
    options = webdriver.ChromeOptions()
    options.binary_location = str(found[0])
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(found[1])))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of eleven results, among them hostile names, and of pairs."""
    folder = tmp_path_factory.mktemp("page")
    results = [
        pck_result("low", 0.1),
        pck_result("high", 0.8, config=RESNET, environment={"jladkit": "0.1.0", "device": "cpu"}),
        pck_result("middle", 0.4, config={"backbone": "vit"}, environment={"jladkit": "0.1.0"}),
        *(pck_result(name, 0.2, notes=[name], config={"of": name}) for name in HOSTILE),
        pck_result("elsewhere", 0.3, dataset="small", dataset_digest="5a11"),
        pck_result("squashed", 0.3, protocol=SCNET),
        pck_result("later", 0.3, split="val"),
        iod_result(),
        sparsification_result(),
    ]
    data = tiny_dataset(folder / "tiny.h5")
    rows, cells = data.pairs("test"), np.linspace(0, 23, 4)
    flow = np.broadcast_to(np.stack(np.meshgrid(cells, cells)), (len(rows), 2, 4, 4)).copy()
    flow[:, :, 0] = np.nan
    said = predicted(data, method=HOSTILE[2], pair_flow=flow)
    off = replace(said, method="off", pair_flow=None, pair_points=true_points(data) + 6)
    found = boards_of([(folder / "result.json", result) for result in results])
    pairs = gallery(data, [said, off])
    path = folder / "index.html"
    path.write_text(page_of([(one, tables(one)) for one in found], pairs, "tiny, test split"))
    return path


@pytest.fixture
def page(browser: webdriver.Chrome, made: Path) -> Iterator[webdriver.Chrome]:
    """The page, opened anew at 1440 px; whatever a test does, the console stays empty."""
    resize(browser, 1440)
    browser.get(made.as_uri())
    yield browser
    assert browser.get_log("browser") == []  # pyright: ignore[reportUnknownMemberType]
    assert browser.execute_script("return window.hit") is None


def resize(browser: webdriver.Chrome, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


def all_of(page: webdriver.Chrome | WebElement, selector: str) -> list[WebElement]:
    return page.find_elements(By.CSS_SELECTOR, selector)


def texts(page: webdriver.Chrome | WebElement, selector: str) -> list[str]:
    return [found.text for found in all_of(page, selector) if found.is_displayed()]


def boards(page: webdriver.Chrome) -> list[str]:
    """The ids of the boards that are shown."""
    found = [one for one in all_of(page, ".board") if one.is_displayed()]
    return [str(one.get_attribute("id")) for one in found]


def choose(page: webdriver.Chrome, field: str, value: str) -> None:
    Select(page.find_element(By.CSS_SELECTOR, f"[data-filter={field}]")).select_by_value(value)


def test_it_comes_with_the_best_first_and_says_by_what(page: webdriver.Chrome):
    first = page.find_element(By.ID, "board-1")
    assert texts(first, ".open")[:2] == ["high", "middle"] and texts(first, ".open")[-1] == "low"
    assert [text.split()[0] for text in texts(first, "th[aria-sort=descending]")] == ["PCK@0.1"]


def test_a_column_sorts_by_its_unrounded_numbers_both_ways(page: webdriver.Chrome):
    first = page.find_element(By.ID, "board-1")
    button = all_of(first, ".sort")[1]
    assert button.text.startswith("PCK@0.05")
    button.click()
    assert texts(first, ".open")[0] == "high"
    head = button.find_element(By.XPATH, "..")
    assert head.get_attribute("aria-sort") == "descending"
    button.click()
    assert texts(first, ".open")[0] == "low" and texts(first, ".open")[-1] == "high"
    assert head.get_attribute("aria-sort") == "ascending"
    assert len(all_of(first, "thead th:not([aria-sort=none])")) == 2  # one in each table


def test_names_sort_too_and_counts_stay_on_top(page: webdriver.Chrome):
    first = page.find_element(By.ID, "board-1")
    all_of(first, ".sort")[0].click()
    names = texts(first, ".open")
    assert [name for name in names if name.isalpha()] == ["high", "low", "middle"]
    all_of(first, "summary")[0].click()
    second = all_of(first, "table")[1]
    all_of(second, ".sort")[0].click()
    all_of(second, ".sort")[0].click()
    lines = texts(second, "tbody th")
    assert lines[0] == "pairs" and lines.index("middle") < lines.index("high")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("dataset", "small", ["board-2"]),
        ("dataset", "JLAD", ["reported-1", "reported-2", "reported-4"]),
        ("protocol", "scnet 1", ["board-3"]),
        ("task", "landmark detection", ["board-5", "reported-4"]),
        ("task", "uncertainty", ["board-6"]),
        ("backbone", "resnet101", ["board-1"]),
        ("source", "reported", ["reported-1", "reported-2", "reported-3", "reported-4"]),
        ("source", "measured", [f"board-{k}" for k in range(1, 7)]),
    ],
)
def test_a_filter_leaves_the_boards_that_fit(
    page: webdriver.Chrome, field: str, value: str, shown: list[str]
):
    choose(page, field, value)
    assert boards(page) == shown
    links = [one for one in all_of(page, "nav [data-of]") if one.is_displayed()]
    assert [one.get_attribute("data-of") for one in links] == shown
    page.find_element(By.ID, "reset").click()
    assert len(boards(page)) == 10


def test_a_backbone_leaves_its_lines_and_curves_and_filters_add_up(page: webdriver.Chrome):
    choose(page, "backbone", "resnet101")
    first = page.find_element(By.ID, "board-1")
    assert texts(first, ".open") == ["high"]
    assert [one.is_displayed() for one in all_of(first, ".chart g")].count(True) == 1
    assert texts(first, ".legend li") == ["high"]
    assert "1 of" in page.find_element(By.ID, "count").text
    choose(page, "source", "reported")
    assert boards(page) == []
    assert page.find_element(By.ID, "count").text.startswith("None of")


def test_a_line_opens_to_bars_command_environment_and_config(page: webdriver.Chrome):
    first = page.find_element(By.ID, "board-1")
    button = all_of(first, ".open")[0]
    detail = page.find_element(By.ID, str(button.get_attribute("aria-controls")))
    assert not detail.is_displayed() and button.get_attribute("aria-expanded") == "false"
    button.click()
    assert detail.is_displayed() and button.get_attribute("aria-expanded") == "true"
    assert texts(detail, ".bars .of") == ["car", "tv_monitor & co"]
    track, bar = all_of(detail, ".track")[0], all_of(detail, ".bar")[0]
    assert bar.size["width"] / track.size["width"] == pytest.approx(0.8, abs=0.01)
    whisker = all_of(detail, ".whisker")
    assert len(whisker) == 1  # the other category has no interval
    command = detail.find_element(By.CLASS_NAME, "command").text
    assert command.startswith("jladkit train") and "--set model.size=240" in command
    assert "resnet101" in detail.find_element(By.CLASS_NAME, "config").text
    assert "device" in texts(detail, "dt")
    all_of(first, ".sort")[0].click()  # what is open moves along
    assert detail.is_displayed()
    assert button.find_element(By.XPATH, "../../..").text.count("by category") == 1
    button.click()
    assert not detail.is_displayed()


def test_the_keyboard_is_enough_and_shows_where_it_is(page: webdriver.Chrome):
    button = page.find_element(By.CSS_SELECTOR, "#board-1 .sort")
    page.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.TAB)
    here = page.switch_to.active_element
    assert here.tag_name == "button" and here.value_of_css_property("outline-style") == "solid"
    here.send_keys(Keys.ENTER)
    assert here.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    opener = page.find_element(By.CSS_SELECTOR, "#board-1 .open")
    opener.send_keys(Keys.SPACE)
    assert opener.get_attribute("aria-expanded") == "true"
    clicked = page.execute_script(
        "return [...document.querySelectorAll('[onclick], [role=button]')].length"
    )
    assert clicked == 0


def test_the_gallery_shows_a_pair_with_every_method(page: webdriver.Chrome):
    shown = page.find_element(By.ID, "shown")
    assert texts(shown, "strong") == ["source", "target", HOSTILE[2], "off"]
    captions = texts(shown, "figcaption")
    assert "error 0.0 %" in captions[2] and "no warp stored" in captions[3]
    assert len(all_of(shown, "img.warp")) == 1
    assert len(all_of(all_of(shown, "figure")[3], "line")) > 0
    wide = page.execute_script("return document.querySelector('img.warp').naturalWidth")
    assert wide > 0
    chosen = Select(page.find_element(By.ID, "pair"))
    before = chosen.first_selected_option.text
    page.find_element(By.ID, "next").click()
    assert chosen.first_selected_option.text != before
    source = all_of(shown, "svg")[0]
    assert chosen.first_selected_option.text in str(source.get_attribute("aria-label"))
    page.find_element(By.ID, "previous").click()
    page.find_element(By.ID, "previous").click()
    assert chosen.first_selected_option == chosen.options[-1]


def test_methods_errors_and_warps_can_be_left_out_of_the_gallery(page: webdriver.Chrome):
    shown = page.find_element(By.ID, "shown")
    page.find_element(By.ID, "warps").click()
    page.find_element(By.ID, "errors").click()
    assert all_of(shown, "img.warp") == [] and all_of(shown, "line") == []
    all_of(page, "#methods input")[0].click()
    assert texts(shown, "strong") == ["source", "target", "off"]


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_makes_the_page_scroll_sideways(page: webdriver.Chrome, width: int):
    resize(page, width)
    page.execute_script(
        "for (const one of document.querySelectorAll('.open')) one.click();"
        "for (const one of document.querySelectorAll('details')) one.open = true;"
    )
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide <= page.execute_script("return document.documentElement.clientWidth")
    inside = page.execute_script("return document.querySelector('.inside').clientWidth")
    assert inside <= width  # what opens is read without scrolling its table


def test_dark_mode_is_dark_and_paper_is_white(page: webdriver.Chrome):
    def background(**media: object) -> str:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")

    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    assert background(features=dark) == "rgb(20, 24, 29)"
    assert background(media="print", features=dark) == "rgb(255, 255, 255)"
    assert not page.find_element(By.CLASS_NAME, "filters").is_displayed()
    assert background(media="", features=[]) == "rgb(255, 255, 255)"


def test_hostile_names_are_text_and_no_script_but_ours_could_run(
    page: webdriver.Chrome, made: Path
):
    names = texts(page.find_element(By.ID, "board-1"), ".open")
    assert set(HOSTILE) <= set(names)
    for button in all_of(page, ".open"):
        page.execute_script("arguments[0].click()", button)
    text = made.read_text()
    assert text.count("<script") == 2 and "&lt;script&gt;" in text
    # Even a script that got in would not run: the policy names ours by its digest.
    page.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.hit = 9';"
        "document.body.append(one)"
    )
    assert page.execute_script("return window.hit") is None
    refused = page.get_log("browser")  # pyright: ignore[reportUnknownMemberType]
    assert len(refused) == 1 and "Content Security Policy" in refused[0]["message"]


def test_results_that_cannot_be_compared_stand_in_tables_of_their_own(page: webdriver.Chrome):
    methods = [set(texts(one, ".open")) for one in all_of(page, ".board")]
    for name in ("elsewhere", "squashed", "later"):
        assert [found for found in methods if name in found] == [{name}]


def test_the_page_is_one_file_below_its_stated_size(made: Path):
    text = made.read_text()
    assert len(text.encode()) < PAGE_BYTES
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


def test_a_page_without_pairs_has_no_gallery_and_shows_the_table_asked_for(
    browser: webdriver.Chrome, tmp_path: Path
):
    found = boards_of([(Path("result.json"), pck_result(name, 0.5)) for name in ("a", "b")])
    asked = pivot(found, "category", "method", "pck", 0.05)
    path = tmp_path / "index.html"
    path.write_text(page_of([(one, tables(one)) for one in found], pivot=asked))
    browser.get(path.as_uri())
    assert all_of(browser, "#pairs, #gallery") == []
    table = browser.find_element(By.CSS_SELECTOR, "#pivot table")
    assert texts(table, "tbody th") == ["car", "tv_monitor & co", "all"]
    all_of(table, ".sort")[0].click()
    assert texts(table, "tbody th") == ["all", "car", "tv_monitor & co"]
    choose(browser, "backbone", "none")
    assert boards(browser) == ["board-1"]
    assert browser.get_log("browser") == []  # pyright: ignore[reportUnknownMemberType]
