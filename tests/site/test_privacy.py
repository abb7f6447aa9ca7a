"""What a header says of a patient is found in whatever form others write it, and cut out."""

from __future__ import annotations

import json
import time
from unicodedata import normalize

import pytest
from pydicom import Dataset

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.site.privacy import HIDDEN, hider, line_of, trace_of

HEADER = """<ismrmrdHeader><subjectInformation><patientName>Müllerová^Žofie Anna</patientName>
<patientWeight_kg>70</patientWeight_kg><patientID>ZZ-4711/9</patientID>
<patientBirthdate>1971-03-09</patientBirthdate></subjectInformation><studyInformation>
<accessionNumber>ACC&amp;0815</accessionNumber>
<referringPhysicianName><![CDATA[O'Hara^Li]]></referringPhysicianName>
<studyInstanceUID>1.2.840.99.1</studyInstanceUID></studyInformation>
<userParameters><userParameterString><name>PatientAlias</name><value>Koala</value>
</userParameterString><userParameterString><name>Protocol</name><value>qsm</value>
</userParameterString></userParameters></ismrmrdHeader>"""


@pytest.mark.parametrize(
    "said",
    [
        "Müllerová^Žofie Anna",
        "invalid value 'MÜLLEROVÁ'",
        "Zofie? no: Žofie",
        "of Anna.",
        ascii("Müllerová"),
        json.dumps("Žofie"),
        "Müllerová".encode("unicode_escape").decode(),
        "ZZ-4711/9",
        "folder_ZZ-4711/9",
        "XmlDate(1971, 3, 9)",
        "1971-03-09",
        "19710309",
        "9.3.1971",
        "09.03.1971",
        "03/09/1971",
        normalize("NFD", "Müllerová"),
        ascii(normalize("NFD", "Müllerová")),
        "ACC&0815",
        "ACC&amp;0815",
        "O'Hara",
        "Dr. Li",
        "1.2.840.99.1",
        "Koala",
    ],
)
def test_values_are_hidden_in_every_form(said):
    assert HIDDEN in hider(HEADER)(said)


@pytest.mark.parametrize(
    "said",
    [
        "3 of 1880 lines are missing",
        "Annapurna is a mountain",
        "the list",
        "preset qsm, 70 iterations",
        "1.2.840.99.12",
        "2026-03-09T10:00:00Z",
    ],
)
def test_what_only_looks_alike_stays(said):
    assert hider(HEADER)(said) == said


@pytest.mark.parametrize("value", ["Müllerová", "ZZ-4711/9", "1971-03-09", "O'Hara", "1.2.840.99"])
def test_a_header_that_was_cut_off_hides_what_came_of_it(value):
    part = value[:-2]
    cut = HEADER[: HEADER.index(value) + len(part)]
    assert hider(cut)(f"quoting '{part}'") == f"quoting '{HIDDEN}'"


@pytest.mark.parametrize("text", ["", "<patientName></patientName>", "<patientID>7</patientID>"])
def test_a_header_without_anything_to_hide_hides_nothing(text):
    assert hider(text)("7 readouts of 7 coils") == "7 readouts of 7 coils"


@pytest.mark.parametrize(
    "name",
    ["<!-- c -->Meier", "Meier<!-- c -->", "Mei<!-- c -->er", "<!-- <b> --> <!---->Meier", "Meier"],
)
@pytest.mark.parametrize("around", ["{}", "<!-- {}", "<!-- {} -->"])
def test_a_comment_in_a_header_hides_nothing_from_us(name, around):
    header = around.format(f"<patientName>{name}</patientName>")
    assert hider(header)("of Meier.") == f"of {HIDDEN}."


def test_a_header_with_accents_apart_from_letters_is_one_like_others():
    hide = hider(normalize("NFD", HEADER))
    assert hide("Müllerová") == hide(normalize("NFD", "Müllerová")) == HIDDEN


def test_a_prefix_of_the_namespace_hides_nothing_less():
    assert hider("<i:patientID x='1'>ZZTOP</i:patientID>")("id ZZTOP") == f"id {HIDDEN}"


def test_a_header_of_very_many_values_stays_cheap():
    text = "".join(f"<patientName>{n:06d}^x</patientName>" for n in range(100_000))
    assert HIDDEN in hider(text)("000001")
    assert HIDDEN in hider(f"<patientName>{'ab ' * 100_000}</patientName>")("ab")


@pytest.mark.parametrize(
    "text",
    [
        "<patientName " * 100_000,
        "<patientName>" + " " * 1_000_000,
        "<name>patient" * 100_000,
        "<name>" + "patient" * 100_000,
        "<name>patient</name>" + " " * 1_000_000,
        "<" + "a" * 1_000_000 + ":name>",
        "<a:" * 300_000,
        "<!--" * 300_000,
        "<!--" * 300_000 + "-->" * 300_000,
        "".join(f"<patientName>{' '.join(f'{n}x{m}' for m in range(500))}" for n in range(500)),
    ],
)
def test_a_header_made_to_be_searched_for_ever_is_not(text):
    start = time.process_time()
    hider(text)
    assert time.process_time() - start < 5


def caught(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError


def put_in_a_dataset():
    Dataset().PatientBirthDate = ["ZZDOE", object()]
    Dataset.from_json('{"00100010": {"vr": "PN", "Value": ["ZZDOE', None)


def numerical():
    [1, 2].index(3)


def test_an_exception_of_code_that_handles_patients_is_told_without_its_text():
    error = caught(put_in_a_dataset)
    assert line_of(error).startswith(type(error).__name__)
    assert str(error) not in line_of(error)


def test_an_exception_of_other_code_keeps_its_text_in_one_line():
    assert line_of(caught(numerical)) == "ValueError: 3 is not in list"
    assert line_of(QsmError("two\nlines")) == "two lines"


def test_a_traceback_has_the_places_of_all_that_happened_and_no_quotes():
    def failing():
        try:
            put_in_a_dataset()
        except Exception as error:
            raise QsmError("no objects") from error

    told = trace_of(caught(failing))
    assert told.endswith("no objects")
    assert "which led to" in told
    assert "put_in_a_dataset()" in told  # the line of code
    assert "its text may quote the scan" in told
