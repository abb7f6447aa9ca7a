from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.accuracy import summary
from gadgetron_qsm.report.page import write_page
from gadgetron_qsm.report.pictures import drawn
from gadgetron_qsm.report.plain import plain
from gadgetron_qsm.report.provenance import provenance
from gadgetron_qsm.report.report import write_report
from gadgetron_qsm.settings import Settings

ACCURACY = {
    "nrmse_percent": 39.03,
    "nrmse_whole_brain_percent": 41.2,
    "slope": 1.006,
    "nuclei_rmse_ppb": 1.55,
    "coverage": 0.98,
    "mask_outside_brain": 0.0016,
    "nuclei": [
        {
            "name": "putamen",
            "measured_ppb": 34.71,
            "true_ppb": 34.24,
            "difference_ppb": 0.47,
            "voxels": 1104,
            "fraction_inside": 1.0,
        }
    ],
}
SERIES = [
    {"name": "chi", "description": "QSM chi", "repetition": 1, "unit": "ppb",
     "folder": "dicom/11001_QSM_chi", "images": 98},
    {"name": "mask", "description": "Brain mask", "repetition": 1, "unit": "",
     "folder": None, "images": 7},
]  # fmt: skip


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and text outside the style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def write(tmp_path, private_header, report):
    def written(maps=(), *, warnings=("no noise scan",), timing_s=None, **told):
        content = {**report, "warnings": list(warnings)}
        timing_s = {"latency": 16.006} if timing_s is None else timing_s
        told = {"series": SERIES, **told}
        told_report = write_report(tmp_path / "r.json", content, timing_s=timing_s, **told)
        made = plain(provenance(private_header, Settings(), content, maps))
        path = tmp_path / "report.html"
        named = {volume.name: volume for volume in reversed(maps)}
        write_page(path, told_report, made, named, drawn(named))
        return path.read_text(encoding="utf-8")

    return written


def test_the_page_is_whole_and_every_element_is_closed(write, maps):
    text = write(maps)
    assert text.startswith("<!DOCTYPE html>")
    page = Reader(text)
    assert page.open == []
    assert [attributes["lang"] for attributes in page.of("html")] == ["en"]


def test_text_in_a_warning_stays_text(write):
    page = Reader(write(warnings=["<script>alert(1)</script> & <img src=x onerror=y>"]))
    assert "<script>alert(1)</script> & <img src=x onerror=y>" in page.text
    assert not page.of("script")
    assert not page.of("img")


def test_nothing_is_loaded_and_no_script_runs(write, maps):
    text = write(maps)
    page = Reader(text)
    assert all(
        attributes["src"].startswith("data:image/png;base64,") for attributes in page.of("img")
    )
    assert not {"script", "link", "iframe", "object", "a"} & {tag for tag, _ in page.tags}
    assert "url(" not in text
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert {"http-equiv": "Content-Security-Policy", "content": policy} in page.of("meta")


def test_warnings_stand_before_every_picture(write, maps):
    text = write(maps, warnings=["no noise scan", "lines are missing"])
    assert "2 warnings" in text
    assert text.index("lines are missing") < text.index("<img")
    assert "No warnings" not in text


def test_the_first_lines_tell_the_scan_by_what_nobody_is_known(write, maps):
    text = Reader(write(maps)).text
    assert (
        "SIEMENS Prisma; 2.894 T; 3D GRE (Flash); 3 echoes, 5:5:15 ms; "
        "2 x 1 x 4 mm (read, phase, slice); measurement 271828."
    ) in text


def test_a_run_without_warnings_says_so(write, maps):
    assert "No warnings." in write(maps, warnings=[])


def test_chi_magnitude_and_fields_are_pictures_in_the_page(write, maps):
    page = Reader(write(maps))
    pictures = [attributes["src"].partition(",")[2] for attributes in page.of("img")]
    assert len(pictures) == 3
    assert all(base64.b64decode(p).startswith(b"\x89PNG") for p in pictures)
    assert "in ppb relative to whole brain, from -200 (black) to 200 ppb (white)" in page.text
    assert "First echo, TE 5 ms. The line is the edge of the mask" in page.text
    assert "Total field: that of all sources" in page.text


@pytest.mark.parametrize(
    ("names", "there", "absent"),
    [
        ((), [], ["Susceptibility in", "Magnitude"]),
        (("mask",), [], ["edge of the mask"]),
        (("magnitude",), ["First echo, TE 5 ms."], ["edge of the mask", "Total field:"]),
        (("chi",), ["relative to whole brain"], ["First echo", "Local field:"]),
        (("local_field",), ["Local field:"], ["Total field:"]),
    ],
)
def test_maps_that_are_not_there_are_left_out(write, maps, names, there, absent):
    page = Reader(write([volume for volume in maps if volume.name in names]))
    assert all(text in page.text for text in there)
    assert not [text for text in absent if text in page.text]
    assert len(page.of("img")) == len(there)


def test_tables_tell_series_times_quality_methods_checklist_and_versions(write, maps):
    text = Reader(write(maps)).text
    for told in (
        "QSM chi ppb 98 dicom/11001_QSM_chi",
        "Brain mask none 7 not written here",
        "latency: last readout in to last image out 16.006",
        "inversion 2.250",
        "phase residual, rad 0.0222",
        "reference: sd, ppb 25.15",
        "inversion ss_tv regularisation = 1.5e-05, iterations = 30",
        "TR essential 32 ms",
        "Pixel bandwidth recommended not in the header",
        "Research use; not for clinical use.",
        "numpy",
    ):
        assert told in text


def test_accuracy_is_a_table_when_it_was_measured(write, maps):
    page = Reader(write(maps, accuracy={**ACCURACY, "repetition": 1}))
    assert "putamen 34.7 34.2 +0.5 1104 100 %" in page.text
    assert f"of repetition 1: {summary(ACCURACY)}." in page.text
    assert "Accuracy" not in Reader(write(maps)).text


def test_later_repetitions_have_a_row_each(write, maps, report):
    text = Reader(write(maps, later={2: {**report, "warnings": ["moved"]}})).text
    assert "2 ingest 1.500, inversion 2.250 moved" in text


def test_no_patient_data_is_on_the_page(write, maps, secrets):
    text = re.sub('base64,[^"]*', "", write(maps))
    assert [secret for secret in secrets if secret in text] == []


def test_what_cannot_be_printed_is_a_space(write):
    page = Reader(write(warnings=["a\x00b\ud800c"]))
    assert "a b c" in page.text


def test_a_page_that_cannot_be_written_is_one_clear_line(tmp_path, private_header, report):
    (tmp_path / "taken").write_text("")
    told = write_report(tmp_path / "r.json", report, series=[], timing_s={})
    made = plain(provenance(private_header, Settings(), report))
    with pytest.raises(QsmError, match="cannot write"):
        write_page(tmp_path / "taken" / "report.html", told, made, {}, {})
