"""The page of a cohort as it is written; what a browser does with it is in test_browser.py."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gadgetron_qsm.cohort.figures import FIGURES, Row
from gadgetron_qsm.cohort.page import write_cohort
from gadgetron_qsm.errors import QsmError
from tests.cohort.rows import rows

HOSTILE = '<script>alert("1")</script>&</script><img src=x>'


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each, by tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts.setdefault(tag, []).append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag):
        return " ".join(" ".join(self.texts.get(tag, [])).split())


@pytest.fixture
def write(tmp_path):
    def written(scans, **more):
        path = write_cohort(tmp_path, scans, **more)
        assert path == tmp_path / "cohort.html"
        text = path.read_text(encoding="utf-8")
        page = Reader(text)
        assert page.open == []
        return page, text

    return written


def cohort(folder, count=40):
    scans = rows(folder, count)
    scans[1] = Row("scan1", folder / "scan1", "failed", "the mask is empty")
    scans[2] = Row("scan2", folder / "scan2", "not run")
    return scans


def test_every_scan_has_a_row_with_a_cell_for_each_figure(write, tmp_path):
    page, text = write(cohort(tmp_path))
    body = text[text.index("<tbody>", text.index('class="scans"')) : text.index("<tfoot>")]
    assert body.count("<tr") == 40
    cells = 3 + len(FIGURES)
    assert {len(re.findall("<t[hd]", row)) for row in body.split("</tr>")[:-1]} == {cells}
    assert "40 scans: 38 done, 1 failed, 1 not run; 2 with outliers." in page.text("p")


def test_figures_have_their_unit_median_and_range(write, tmp_path):
    scans = [
        replace(row, figures={"mask_volume": 1000.0 + n}) for n, row in enumerate(rows(tmp_path, 3))
    ]
    page, _ = write(scans)
    assert "mask, ml" in page.text("thead")
    assert "SD of the reference, ppb" in page.text("thead")
    assert page.text("tfoot").startswith("median – – 1001 –")
    assert "range – – 1000 to 1002 –" in page.text("tfoot")


def test_a_failed_scan_tells_why_above_the_table_and_in_it(write, tmp_path):
    page, text = write(cohort(tmp_path))
    assert "scan1: the mask is empty" in page.text("li")
    assert text.index("1 scan failed") < text.index("<table")
    assert "failed the mask is empty" in page.text("tbody")


def test_outliers_are_marked_by_a_word_and_not_by_colour_alone(write, tmp_path):
    page, text = write(cohort(tmp_path))
    marks = re.findall(r'class="mark">([^<]*)<', text)
    assert sorted(marks) == ["▲ high", "▼ low"]
    assert sum("data-outlier" in row for row in page.of("tr")) == 2
    assert "unlike the others, not that it is bad" in page.text("p")


def test_reports_are_linked_from_where_the_page_is(write, tmp_path):
    scans = cohort(tmp_path)
    scans[0] = replace(scans[0], name="a b", folder=tmp_path / "a b#?")
    scans[4] = replace(scans[4], folder=tmp_path)
    page, _ = write(scans)
    links = [link["href"] for link in page.of("a")]
    assert len(links) == 38
    assert links[:3] == ["a%20b%23%3F/report.html", "scan3/report.html", "report.html"]


def test_a_name_that_is_no_text_is_linked_by_its_bytes(write, tmp_path):
    name = "scan\udcff"
    page, text = write([Row(name, tmp_path / name, "done")])
    assert page.of("a") == [{"href": "scan%FF/report.html"}]
    assert 'data-text="scan?"' in text


def test_nothing_is_loaded_and_only_the_pages_own_script_runs(write, tmp_path):
    page, text = write(cohort(tmp_path))
    (policy,) = [tag["content"] for tag in page.of("meta") if "content" in tag]
    digest = base64.b64encode(
        hashlib.sha256(re.search("<script>(.*)</script>", text, re.S)[1].encode()).digest()
    )
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest.decode()}'"
    )
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.of("img"))
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert "url(" not in text
    assert not re.search(r"\son\w+=", text)


def test_text_stays_text(write, tmp_path):
    scans = cohort(tmp_path)
    scans[0] = replace(scans[0], name=HOSTILE, warnings=(HOSTILE,))
    scans[1] = replace(scans[1], reason=HOSTILE)
    page, text = write(scans, title=HOSTILE, about={HOSTILE: HOSTILE})
    assert len(page.of("script")) == 1
    assert len(page.of("img")) == 38
    assert text.count("alert(") == text.count("alert(&quot;1") + text.count('&gt;alert("1')
    assert HOSTILE in page.text("h1")


def test_every_image_says_what_it_shows_and_every_heading_what_it_heads(write, tmp_path):
    page, _ = write(cohort(tmp_path))
    assert page.of("img")[0]["alt"] == "susceptibility of scan0"
    assert all(image["loading"] == "lazy" for image in page.of("img"))
    assert all(heading["scope"] in ("col", "row") for heading in page.of("th"))
    assert page.of("caption")


def test_without_a_script_the_tools_are_hidden_and_warnings_open(write, tmp_path):
    scans = cohort(tmp_path)
    scans[0] = replace(scans[0], warnings=("no noise scan",), figures={"warnings": 1.0})
    page, _ = write(scans)
    assert page.of("form")[0]["hidden"]
    assert page.text("summary") == "1"
    assert "no noise scan" in page.text("details")


def test_what_it_was_made_with_is_told_at_the_end(write, tmp_path):
    _, text = write(cohort(tmp_path), about={"software": "gadgetron-qsm 1.2"})
    assert text.index("</tfoot>") < text.index("<td>software</td><td>gadgetron-qsm 1.2</td>")


def test_a_cohort_of_no_scans_is_a_page(write):
    page, _ = write([])
    assert "0 scans: none; none with outliers." in page.text("p")


def test_a_page_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        write_cohort(tmp_path / "taken", [])


def test_the_script_is_short_and_of_the_package():
    script = Path(write_cohort.__code__.co_filename).with_name("table.js").read_text()
    assert len(script.splitlines()) < 150
    assert script.isascii()
