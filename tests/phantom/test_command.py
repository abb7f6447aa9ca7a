"""gadgetron-qsm simulate, as the shell calls it."""

from __future__ import annotations

import sys

import ismrmrd
import pytest

from gadgetron_qsm import cli
from gadgetron_qsm.phantom import VARIANTS


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gadgetron-qsm", "simulate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_the_command_takes_variants_that_combine(monkeypatch, tmp_path):
    path = tmp_path / "a.h5"
    options = ["--variant", "r2", "--variant", "single-echo", "--voxel-size", 20, 20, 20]
    assert not call(monkeypatch, path, "--coils", 1, *options)
    with ismrmrd.Dataset(path, create_if_needed=False) as dataset:
        header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
    assert header.encoding[0].parallelImaging.accelerationFactor.kspace_encoding_step_1 == 2
    assert header.sequenceParameters.TE == [20]


def test_the_files_are_named_in_one_line_however_long(monkeypatch, tmp_path, capsys):
    path = tmp_path / ("long" * 30) / "[a].h5"
    assert not call(monkeypatch, path, "--coils", 1, "--voxel-size", 20, 20, 20)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"written: {path}, {path.with_name('[a]_truth.npz')}"


def test_the_command_refuses_a_wrong_name_in_one_line(monkeypatch, tmp_path, capsys):
    assert call(monkeypatch, tmp_path / "a.h5", "--variant", "nonsense") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'nonsense'" in error
    assert "caipi2x2" in error


def test_the_command_lists_the_variants(monkeypatch, capsys):
    assert call(monkeypatch, "--variants") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in VARIANTS)
