"""The page of a cohort in a real Chromium, from a file, as people open it."""

from __future__ import annotations

import base64
import io
import shutil
import time
from dataclasses import replace

import pytest
from pypdf import PdfReader

from gadgetron_qsm.cohort.figures import FIGURES, Row
from gadgetron_qsm.cohort.page import write_cohort
from tests.cohort.rows import rows
from tests.missing import missing

COUNT, MANY = 24, 1000
GHOSTING, SCAN = 3 + list(FIGURES).index("ghosting"), 1
PROGRAMS = ("chromium", "chromedriver")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that keeps what it logs; one for the module."""
    if not all(map(shutil.which, PROGRAMS)):
        missing(f"{' and '.join(PROGRAMS)} are not installed; see 'make debian-programs'")
    try:
        from selenium import webdriver
    except ImportError:
        missing("selenium is not installed; see the extra 'test'")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A cohort's page: one scan failed, one was not run, three are unlike the others."""
    folder = tmp_path_factory.mktemp("cohort")
    scans = rows(folder, COUNT)
    scans[1] = Row("scan1", folder / "scan1", "failed", "the mask is empty")
    scans[2] = Row("scan2", folder / "scan2", "not run")
    scans[4] = replace(scans[4], warnings=("no noise scan",), figures={"warnings": 1.0})
    return write_cohort(folder, scans)


@pytest.fixture
def page(browser, cohort):
    browser.get(cohort.as_uri())
    return browser


def names(page):
    """Scans that are seen, from top to bottom."""
    return page.execute_script(
        "return [...document.querySelectorAll('.scans tbody tr')]"
        ".filter(row => row.offsetParent !== null).map(row => row.cells[1].textContent)"
    )


def values(page, column):
    """Figures of the scans that are seen; None where there is none."""
    return page.execute_script(
        "return [...document.querySelectorAll('.scans tbody tr')]"
        ".filter(row => row.offsetParent !== null)"
        ".map(row => 'value' in row.cells[arguments[0]].dataset"
        " ? Number(row.cells[arguments[0]].dataset.value) : null)",
        column,
    )


def heading(page, column):
    return page.find_elements("css selector", ".scans thead th")[column]


def press(page, column):
    heading(page, column).find_element("tag name", "button").click()


def tool(page, name):
    return page.find_element("name", name)


def wait_for(page, condition):
    """Wait for what a browser does a moment after it was asked to."""
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page, 10, poll_frequency=0.05).until(lambda _: condition())


def test_figures_are_sorted_as_numbers_up_and_down_and_what_is_missing_comes_last(page):
    press(page, GHOSTING)
    up = values(page, GHOSTING)
    assert up[-3:] == [None] * 3
    assert up[:-3] == sorted(up[:-3])
    assert up[-4] == 15.0  # which as a text would come before 3
    assert heading(page, GHOSTING).get_attribute("aria-sort") == "ascending"
    press(page, GHOSTING)
    down = values(page, GHOSTING)
    assert down[:-3] == up[-4::-1]
    assert down[-3:] == [None] * 3
    assert heading(page, GHOSTING).get_attribute("aria-sort") == "descending"


def test_names_are_sorted_with_their_numbers_in_order(page):
    press(page, SCAN)
    assert names(page) == [f"scan{n}" for n in range(COUNT)]
    press(page, SCAN)
    assert names(page) == [f"scan{n}" for n in reversed(range(COUNT))]
    press(page, GHOSTING)
    assert heading(page, SCAN).get_attribute("aria-sort") is None


def test_a_table_is_sorted_by_keys_alone(page):
    from selenium.webdriver.common.keys import Keys

    body = page.find_element("tag name", "body")
    for _ in range(40):
        body.send_keys(Keys.TAB)
        focused = page.switch_to.active_element
        if focused.text.startswith("ghosting") and focused.tag_name == "button":
            break
    else:
        pytest.fail("the heading is never reached")
    assert focused.value_of_css_property("outline-style") == "solid"
    focused.send_keys(Keys.ENTER)
    assert heading(page, GHOSTING).get_attribute("aria-sort") == "ascending"
    focused.send_keys(Keys.SPACE)
    assert heading(page, GHOSTING).get_attribute("aria-sort") == "descending"
    assert values(page, GHOSTING)[0] == 15.0
    assert page.switch_to.active_element == focused


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("SCAN7", ["scan7"]),
        ("mask is", ["scan1"]),
        ("noise scan", ["scan4"]),
        ("high", ["scan3", "scan4"]),
        ("nobody", []),
    ],
)
def test_scans_are_found_by_words(page, words, expected):
    tool(page, "text").send_keys(words)
    assert names(page) == expected
    assert page.find_element("class name", "shown").text == (
        f"{len(expected)} of {COUNT} scans shown"
    )


def test_states_and_outliers_are_filtered_together_and_all_come_back(page):
    from selenium.webdriver.support.select import Select

    tool(page, "outliers").click()
    assert names(page) == ["scan3", "scan4", "scan5"]
    state = Select(tool(page, "state"))
    state.select_by_visible_text("failed")
    wait_for(page, lambda: names(page) == [])
    tool(page, "outliers").click()
    assert names(page) == ["scan1"]
    page.find_element("css selector", ".filter button").click()
    wait_for(page, lambda: len(names(page)) == COUNT)


def test_figures_are_filtered_by_limits(page):
    from selenium.webdriver.support.select import Select

    Select(tool(page, "figure")).select_by_visible_text("ghosting")
    tool(page, "least").send_keys("14.5")
    assert names(page) == ["scan3"]
    tool(page, "least").clear()
    tool(page, "most").send_keys("14.5")
    assert len(names(page)) == COUNT - 4  # the one above, and those without a figure


def test_a_filter_stays_when_the_table_is_sorted(page):
    tool(page, "outliers").click()
    press(page, GHOSTING)
    assert names(page) == ["scan5", "scan3", "scan4"]


def test_nothing_is_loaded_and_nothing_is_complained_of(page, cohort):
    press(page, GHOSTING)
    tool(page, "text").send_keys("scan")
    assert [line["message"] for line in page.get_log("browser")] == []
    page.get_log("performance")
    page.refresh()
    asked = [m for m in map(str, page.get_log("performance")) if "requestWillBeSent" in m]
    assert asked
    assert all(cohort.as_uri() in message or "data:image/png" in message for message in asked)


def test_the_policy_keeps_other_scripts_and_the_network_out(page):
    done = page.execute_async_script(
        "const tell = arguments[0]; const made = document.createElement('script');"
        "made.textContent = 'window.spoilt = true'; document.body.append(made);"
        "fetch('http://127.0.0.1:9/').then(() => tell('loaded'), () => tell(!window.spoilt));"
    )
    assert done is True
    complaints = " ".join(line["message"] for line in page.get_log("browser"))
    assert "script-src" in complaints
    assert "default-src" in complaints


def test_without_its_script_the_table_is_whole(browser, cohort, tmp_path):
    still = tmp_path / "cohort.html"
    still.write_text(cohort.read_text().replace("'sha256-", "'sha256-A"))
    browser.get(still.as_uri())
    assert names(browser) == [f"scan{n}" for n in range(COUNT)]
    assert not tool(browser, "text").is_displayed()
    assert not browser.find_elements("css selector", "thead button")
    browser.get_log("browser")


def test_on_paper_are_all_scans_and_the_words_of_warnings_and_no_tools(page):
    pdf = PdfReader(io.BytesIO(base64.b64decode(page.print_page())))
    text = " ".join(" ".join(sheet.extract_text() for sheet in pdf.pages).split())
    assert all(f"scan{n} " in text for n in range(COUNT))
    assert "no noise scan" in text
    headed = [" ".join(sheet.extract_text().split()).count("residues") for sheet in pdf.pages]
    assert headed == [1] * len(pdf.pages)
    assert "outliers only" not in text


def test_a_thousand_scans_are_sorted_and_filtered(browser, tmp_path, capsys):
    path = write_cohort(tmp_path, rows(tmp_path, MANY))
    start = time.perf_counter()
    browser.get(path.as_uri())
    opened = time.perf_counter() - start
    steps = {
        "sort": f"document.querySelectorAll('thead th')[{GHOSTING}].firstChild.click()",
        "filter": "document.querySelector('[name=text]').value = 'scan77';"
        "document.querySelector('form').dispatchEvent(new Event('input'))",
    }
    spent = {
        name: browser.execute_script(
            f"const start = performance.now(); {step}; document.body.offsetHeight;"
            "return performance.now() - start"
        )
        for name, step in steps.items()
    }
    assert len(names(browser)) == 11
    with capsys.disabled():
        told = ", ".join(f"{name} {ms:.0f} ms" for name, ms in spent.items())
        print(f"\n{MANY} scans, {path.stat().st_size / 1e6:.1f} MB: open {opened:.2f} s, {told}")
