"""Every reader shows the unit: of known voxels, in each form, in programs and libraries."""

from __future__ import annotations

import highdicom
import pytest

from gadgetron_qsm.dicom.forms import FORMS
from tests.dicom.readers import READERS as ALL_READERS
from tests.dicom.readers import AbsentError, places_of
from tests.missing import missing
from tests.written import write_series

KNOWN_PPB = {(1, 2, 3): -123.0, (2, 1, 4): 45.0, (0, 0, 0): 0.0, (4, 6, 5): 1000.0}
KNOWN_HZ = {(1, 2, 3): -12.3, (2, 1, 4): 4.5, (0, 0, 0): 0.0}
# No dependency of ours, and one whose own words are that its DICOM readers are experimental.
READERS = {
    name: reader
    for name, reader in ALL_READERS.items()
    if name not in ("SimpleITK (GDCM)", "nibabel: nicom")
}
NO_FLOATS = "dcmtk: dcmj2pnm"  # it draws greys of whole counts
COUNTS = {"pydicom: stored value", "dcmtk: dcmdump"}  # they show what is stored
NO_HZ = COUNTS | {NO_FLOATS}
# pydicom looks for a rescale at the top of an object, and enhanced ones have theirs in groups
NO_HZ_ENHANCED = NO_HZ | {"pydicom: apply_modality_lut"}

UNIT_READERS = {
    "classic": set(READERS),
    "rescaled": set(READERS) - COUNTS,
    "enhanced": set(READERS),
    "parametric": set(READERS) - {NO_FLOATS},
}
HZ_READERS = {
    "classic": set(READERS) - NO_HZ,
    "rescaled": set(READERS) - NO_HZ,
    "enhanced": set(READERS) - NO_HZ_ENHANCED,
    "parametric": set(READERS) - {NO_FLOATS},
}


def cases(table):
    return [(form, name) for form in FORMS for name in READERS if name in table[form]]


@pytest.fixture
def shown(make_map, header, tmp_path):
    """A function that writes known voxels among others, and returns what a reader shows of them."""

    def show(form, reader, name, unit, known):
        if form == "parametric" and "highdicom" in reader and not _reads_floats():
            pytest.skip("highdicom reads floats from 0.28 on")
        volume = make_map(name, unit=unit)
        volume.data[:] = 7
        for voxel, value in known.items():
            volume.data[voxel] = value
        files = write_series(volume, header, tmp_path, form=form)
        try:
            values = READERS[reader](files, places_of(volume.geometry))
        except AbsentError as error:
            missing(f"{error} is not installed; see 'make debian-programs'")
        return {voxel: float(values[voxel]) for voxel in known}

    return show


def _reads_floats():
    return tuple(map(int, highdicom.__version__.split(".")[:2])) >= (0, 28)


@pytest.mark.parametrize(("form", "reader"), cases(UNIT_READERS))
def test_chi_is_shown_in_ppb(shown, form, reader):
    values = shown(form, reader, "chi", "ppb", KNOWN_PPB)
    assert values == pytest.approx(KNOWN_PPB, abs=1e-6)


@pytest.mark.parametrize(("form", "reader"), cases(HZ_READERS))
def test_a_field_is_shown_in_hz(shown, form, reader):
    values = shown(form, reader, "total_field", "Hz", KNOWN_HZ)
    assert values == pytest.approx(KNOWN_HZ, abs=1e-6)


def test_of_the_rescaled_form_a_reader_of_counts_shows_2048_more(shown):
    values = shown("rescaled", "pydicom: stored value", "chi", "ppb", KNOWN_PPB)
    assert values == {voxel: value + 2048 for voxel, value in KNOWN_PPB.items()}
