from __future__ import annotations

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


def test_an_interrupted_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
