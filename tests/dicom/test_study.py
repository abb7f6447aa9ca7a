"""A whole run, as of the demo but small: validators find nothing, and its series fit together."""

from __future__ import annotations

import subprocess
from collections import Counter

import pydicom
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.dicom.forms import FORMS
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate
from gadgetron_qsm.settings import Settings
from tests.written import write_series

SCAN = Scan(
    voxel_size_mm=(10.0, 6.0, 6.0),
    coils=2,
    echo_times_s=(0.004, 0.008, 0.012),
    noise_lines=16,
    fine_per_voxel=1,
)
MAPS = ("chi", "r2star", "total_field", "local_field", "mask", "magnitude")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All files of a run that delivers as DICOM what the report is made of."""
    folder = tmp_path_factory.mktemp("study")
    simulate(folder / "head.h5", SCAN)
    settings = {
        "preset": "fast",
        "deliver.maps": ",".join(MAPS),
        "deliver.dicom_folder": str(folder / "dicom"),
    }
    with RawFile(folder / "head.h5") as raw:
        lines = (line for block in raw.blocks() for line in block)
        header = Header.parse(raw.header_text)
        list(chain.qsm(lines, header, Settings.from_properties(settings)))
    return sorted((folder / "dicom").rglob("*.dcm"))


def printed(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def test_a_run_is_one_study_with_a_series_for_each_map(study):
    images = [pydicom.dcmread(file, stop_before_pixels=True) for file in study]
    volumes = len(MAPS) - 1 + len(SCAN.echo_times_s)
    series = Counter(image.SeriesInstanceUID for image in images)
    slices = len(images) // volumes
    assert sorted(series.values()) == [slices] * (len(MAPS) - 1) + [slices * 3]
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientPosition"):
        assert len({image.get(name) for image in images}) == 1
    assert len({image.SeriesNumber for image in images}) == len(MAPS)
    assert len({image.SOPInstanceUID for image in images}) == len(images)


def test_dcentvfy_finds_the_whole_study_consistent(study, program):
    assert printed(program("dcentvfy"), *study) == []


def test_dciodvfy_finds_neither_error_nor_warning_in_any_file(study, program):
    found = Counter(line for file in study for line in printed(program("dciodvfy"), file))
    assert found == {"MRImage": len(study)}


def test_dcentvfy_finds_maps_in_different_forms_consistent(make_map, header, program, tmp_path):
    forms = {"chi": FORMS, "r2star": ("classic",), "total_field": ("parametric",)}
    files = [
        file
        for name, used in forms.items()
        for form in used
        for file in write_series(make_map(name), header, tmp_path / form, form=form)
    ]
    assert printed(program("dcentvfy"), *files) == []
