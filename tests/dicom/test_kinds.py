from __future__ import annotations

import dataclasses

import pytest

from gadgetron_qsm.dicom.kinds import kind_of


def test_a_map_in_another_unit_than_its_kind_is_refused(make_map):
    in_ppm = dataclasses.replace(make_map("chi"), unit="ppm")
    with pytest.raises(ValueError, match="'ppm'; convert it to 'ppb'"):
        kind_of(in_ppm)


def test_an_unknown_map_is_refused_with_the_names_there_are(make_map):
    unknown = dataclasses.replace(make_map("chi"), name="iron")
    with pytest.raises(ValueError, match="'iron'; MAPS has chi, r2star"):
        kind_of(unknown)
