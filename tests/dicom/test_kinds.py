from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gadgetron_qsm.dicom.kinds import IN_HERTZ, MAPS, in_hertz, kind_of


def test_a_map_in_another_unit_than_its_kind_is_refused(make_map):
    in_ppm = dataclasses.replace(make_map("chi"), unit="ppm")
    with pytest.raises(ValueError, match="'ppm'; convert it to 'ppb'"):
        kind_of(in_ppm)


def test_an_unknown_map_is_refused_with_the_names_there_are(make_map):
    unknown = dataclasses.replace(make_map("chi"), name="iron")
    with pytest.raises(ValueError, match="'iron'; MAPS has chi, r2star"):
        kind_of(unknown)


def test_a_field_may_be_in_hz_and_is_stored_in_tenths(make_map):
    kind = kind_of(make_map("total_field", unit="Hz"))
    assert (kind.unit, kind.unit_code[0], kind.step) == ("Hz", "Hz", 0.1)
    assert kind.number == MAPS["total_field"].number


def test_only_fields_may_be_in_hz(make_map):
    assert set(IN_HERTZ) == {"total_field", "local_field"}
    with pytest.raises(ValueError, match="'Hz'; convert it to 'ppb'"):
        kind_of(make_map("chi", unit="Hz"))


def test_a_field_above_b0_is_positive_in_hz(make_map):
    field = in_hertz(make_map("local_field", data=np.full((5, 7, 6), 100.0, np.float32)), 123.2e6)
    assert field.unit == "Hz"
    np.testing.assert_allclose(field.data, 12.32, rtol=1e-6)
    assert field.data.dtype == np.float32


def test_every_kind_has_a_series_number_of_its_own_below_the_next_repetition():
    numbers = [kind.number for kind in MAPS.values()]
    assert len(set(numbers)) == len(numbers)
    assert not {16, 17} & set(numbers)  # the segmentation's and the measurement report's
    assert max(numbers) < 20
