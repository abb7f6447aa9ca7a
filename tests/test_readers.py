"""The table of what readers show: each the true value to half a count, where it knows the scale."""

from __future__ import annotations

import highdicom
import pytest

from gadgetron_qsm.dicom.forms import FORMS
from tests.benchmarks.readers import SHOWN, main, shown

HALF_A_COUNT = {"ppb": 0.5, "Hz": 0.05}
FLOATS = tuple(map(int, highdicom.__version__.split(".")[:2])) >= (0, 28)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "unit", "value"), SHOWN)
def test_every_reader_shows_the_value_to_half_a_count(program, name, unit, value, form):
    program("dcm2niix")
    if form == "parametric" and not FLOATS:
        pytest.skip("highdicom reads floats from 0.28 on")
    values = shown(name, unit, value, form)
    if form == "rescaled" or unit == "Hz":
        del values["stored"]
    assert values == pytest.approx(dict.fromkeys(values, value), abs=HALF_A_COUNT[unit] + 1e-6)


def test_a_reader_of_plain_pixels_shows_the_default_chi_in_ppb(program):
    program("dcm2niix")
    assert shown("chi", "ppb", -137.43, "classic")["stored"] == -137


def test_the_table_has_a_row_for_every_map_and_form(program, capsys):
    program("dcm2niix")
    if not FLOATS:
        pytest.skip("highdicom reads floats from 0.28 on")
    main([])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == len(SHOWN) * len(FORMS)
    assert "| chi, -137.43 ppb | classic | -137.00 | -137.00 |" in rows[0]
