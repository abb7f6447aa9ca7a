"""What dciodvfy and dcentvfy find in objects of every form and kind."""

from __future__ import annotations

import subprocess

import pytest

from gadgetron_qsm.dicom.forms import FORMS
from tests.written import write_series

IODS = {
    "classic": "MRImage",
    "rescaled": "MRImage",
    "enhanced": "EnhancedMRImage",
    "parametric": "ParametricMap",
}
NEWER_THAN_DCIODVFY = {
    f"Warning - Unrecognized defined term <QUANTITY> for value 4 of attribute <{name}>"
    for name in ("Image Type", "Frame Type")
}
NO_PATIENT_OR_STUDY = {
    f"Warning - Missing attribute or value that would be needed to build DICOMDIR - {what}"
    for what in ("Patient ID", "Study Date", "Study Time", "Study ID")
}


@pytest.fixture
def findings(program, tmp_path):
    """Return a function that gives the lines of dciodvfy about a map, less the IOD's name."""

    def find(volume, header, form):
        lines = set()
        files = write_series(volume, header, tmp_path, form=form)
        for file in {files[0], files[-1]}:
            command = [program("dciodvfy"), str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            printed = (done.stdout + done.stderr).splitlines()
            assert IODS[form] in printed
            lines.update(printed)
        return lines - {IODS[form]}

    return find


def is_about_the_rescale(line):
    return "Rescale" in line or "Standard Extended SOP Class" in line


@pytest.mark.parametrize("form", ["classic", "enhanced"])
def test_there_is_neither_error_nor_warning(noisy_map, header, findings, form):
    found = findings(noisy_map, header, form)
    if form == "classic" and noisy_map.unit == "Hz":
        found = {line for line in found if not is_about_the_rescale(line)}
    assert found == set()


def test_of_the_rescaled_form_only_the_rescale_is_warned_of(noisy_map, header, findings):
    found = findings(noisy_map, header, "rescaled")
    assert found
    assert [line for line in found if not is_about_the_rescale(line)] == []
    assert [line for line in found if line.startswith("Error")] == []


def test_of_a_parametric_map_only_a_newer_term_is_warned_of(noisy_map, header, findings):
    assert findings(noisy_map, header, "parametric") == NEWER_THAN_DCIODVFY


@pytest.mark.parametrize("form", FORMS)
def test_a_repetition_is_as_good_as_a_single_volume(make_map, full_header, findings, form):
    single = findings(make_map(), full_header(), form)
    repeated = make_map(repetition=1)
    assert findings(repeated, full_header(repetitions=2), form) == single


@pytest.mark.parametrize("form", FORMS)
def test_a_bare_header_leaves_only_patient_and_study_missing(
    make_map, header, bare_header, findings, form
):
    volume = make_map("magnitude", echo=1, echo_time_s=0.0098)
    whole = findings(volume, header, form)
    assert findings(volume, bare_header, form) == whole | NO_PATIENT_OR_STUDY


@pytest.mark.parametrize("form", FORMS)
def test_the_objects_of_two_echoes_are_consistent(make_map, header, program, tmp_path, form):
    files = [
        str(file)
        for echo in (0, 1)
        for file in write_series(
            make_map("magnitude", echo=echo, echo_time_s=0.005 * (echo + 1)),
            header,
            tmp_path,
            form=form,
        )
    ]
    command = [program("dcentvfy"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr).strip() == ""
