from __future__ import annotations

from pathlib import Path

import pytest

from gadgetron_qsm.dicom.header_fields import exam_of, values_of
from gadgetron_qsm.dicom.templates import FIELDS, fields, filled
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.outgoing_sections import IdentitySettings

GUIDE = Path(__file__).parents[2] / "docs" / "identity.md"


def test_fields_are_filled_in_and_doubled_braces_are_braces():
    values = {"protocol": "gre", "user.Visit": "2"}
    assert filled("{{{protocol}}}-{user.Visit}", values) == "{gre}-2"


def test_a_text_without_fields_is_itself():
    assert filled("Phantom", {}) == "Phantom"


@pytest.mark.parametrize("values", [{}, {"protocol": ""}])
def test_a_field_without_a_value_leaves_nothing_of_the_text(values):
    assert filled("P-{protocol}", values) is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{protocl}", "names {protocl}, which is no field; did you mean 'protocol'?"),
        ("{user.}", "names {user.}"),
        ("{}", "names {}"),
        ("{protocol", "braces that do not match"),
        ("protocol}", "braces that do not match"),
        ("{protocol!r}", "only the name of a field"),
        ("{protocol:>5}", "only the name of a field"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template, said):
    with pytest.raises(UsageError) as error:
        fields(template)
    assert said in str(error.value)


def test_every_field_has_a_value_in_a_header(header, bare_header):
    assert set(values_of(header.document)) == set(FIELDS)
    assert set(values_of(bare_header.document)) == set(FIELDS)
    assert not any(values_of(bare_header.document).values())


def test_dates_and_times_are_digits(header):
    values = values_of(header.document)
    asked = ("study_date", "series_date", "series_time", "patient_id", "series_number")
    assert [values[name] for name in asked] == ["20260102", "20260102", "031000", "P-17", "5"]


@pytest.mark.parametrize(
    ("measurement", "exam"),
    [("71_1402_397", "71_1402"), ("__397", ""), ("397", ""), (None, ""), ("a_b", "a")],
)
def test_an_exam_is_a_measurement_less_its_last_part(measurement, exam):
    assert exam_of(measurement) == exam


def test_the_guide_names_every_field_and_every_setting():
    guide = GUIDE.read_text(encoding="utf-8")
    assert [name for name in FIELDS if f"`{{{name}}}`" not in guide] == []
    assert [name for name in IdentitySettings.model_fields if f"`{name}" not in guide] == []
