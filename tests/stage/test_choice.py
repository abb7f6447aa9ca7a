from __future__ import annotations

import pytest

from gadgetron_qsm import inversion
from gadgetron_qsm.background.vsharp import vsharp
from gadgetron_qsm.errors import UsageError
from gadgetron_qsm.stage import run_stage
from tests.stage.subject import CHI_PPM, configure, contrast_of, read, refused


def test_what_was_done_is_told_with_every_parameter(subject, tmp_path):
    folder = subject("localfield", "mask")
    configure(folder, iterations=3)
    inversion_line, written = run_stage("dipole", folder, tmp_path / "new", "tv")
    assert inversion_line.startswith("inversion: tv(")
    assert "iterations=3" in inversion_line
    assert "regularisation=" in inversion_line
    assert written == f"written: {tmp_path}/new/chimap.nii.gz"


def test_parameters_of_config_reach_the_method(subject, tmp_path):
    folder = subject("localfield", "mask")
    configure(folder, iterations=1, regularisation=1e-2)
    run_stage("dipole", folder, tmp_path)
    assert contrast_of(read(tmp_path, "chimap")) < 0.5 * CHI_PPM


def test_a_parameter_of_two_methods_needs_the_name_of_one(subject, monkeypatch):
    monkeypatch.setitem(inversion.METHODS, "twin", vsharp)
    folder = subject("totalfield", "mask")
    configure(folder, threshold=0.1)
    text = refused("bfr+dipole", folder, "vsharp+twin", UsageError)
    assert "write vsharp.threshold or twin.threshold" in text


def test_the_parameter_of_one_of_several_methods_is_set_by_its_full_name(subject, tmp_path):
    folder = subject("totalfield", "mask")
    configure(folder, **{"tv.iterations": 4, "threshold": 0.2})
    lines = run_stage("bfr+dipole", folder, tmp_path, "vsharp+tv")
    assert "threshold=0.2" in lines[0]
    assert "iterations=4" in lines[1]


def test_an_unknown_stage_is_refused_with_the_names_of_all(subject):
    text = refused("unwrapping", subject(), kind=UsageError)
    assert "field-mapping, bfr, dipole, bfr+dipole, end-to-end, chi-separation" in text


@pytest.mark.parametrize("name", ["dipole", "bfr+dipole"])
def test_an_unknown_method_is_refused_with_the_names_of_all(subject, name):
    text = refused(name, subject(), "magic", UsageError)
    assert "no method 'magic'" in text
    assert "inversion: tv" in text


def test_a_method_of_another_step_is_refused(subject):
    assert "no method 'vsharp'" in refused("dipole", subject(), "vsharp", UsageError)


def test_two_methods_for_one_step_are_refused(subject):
    assert "both for inversion" in refused("dipole", subject(), "tv+tv", UsageError)


def test_an_unknown_parameter_is_refused_with_those_there_are(subject):
    folder = subject("localfield", "mask")
    configure(folder, regularization=1)
    assert "did you mean 'regularisation'" in refused("dipole", folder, kind=UsageError)
    configure(folder, quality=1)
    assert "there are regularisation," in refused("dipole", folder, "tv", UsageError)


def test_a_value_that_a_parameter_cannot_have_is_refused_before_files_are_read(subject):
    folder = subject()
    configure(folder, iterations="many")
    assert "iterations = 'many'" in refused("dipole", folder, "tv", UsageError)
