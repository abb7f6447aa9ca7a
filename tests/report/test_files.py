from __future__ import annotations

import os
import stat

import pytest

from gadgetron_qsm.report.files import replacing


def write_half(path):
    with replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt


def test_a_file_appears_whole_when_the_block_ends(tmp_path):
    path = tmp_path / "made" / "file.txt"
    with replacing(path) as part:
        part.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o077, 0o600), (0, 0o640)])
def test_a_file_is_for_its_owner_and_group_or_as_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        (tmp_path / ".file.txt.part").touch()  # as a killed process leaves it
        with replacing(tmp_path / "file.txt") as part:
            assert stat.S_IMODE(part.stat().st_mode) == mode
            part.write_text("whose")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == mode


def test_an_interrupted_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
