"""Which raw files a cohort has, and that their names depend on nothing but themselves."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import pytest

from gadgetron_qsm.cohort.find import found
from gadgetron_qsm.errors import UsageError


def write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(*sources, output="nowhere"):
    return [scan.name for scan in found(sources, Path(output)).scans]


def test_raw_files_are_named_by_their_paths_below_the_folder_that_was_given(tmp_path):
    write(*(tmp_path / name for name in ("b.h5", "s1/a.mrd", "s2/a.DAT", "s2/x/c.hdf5", "d.txt")))
    assert names(tmp_path) == ["b", "s1/a", "s2/a", "s2/x/c"]
    assert names(tmp_path / "s2") == ["a", "x/c"]
    assert names(tmp_path / "d.txt", tmp_path / "s1") == ["a", "d"]


def test_a_name_stays_when_other_files_come(tmp_path):
    write(tmp_path / "s1/a.h5", tmp_path / "s2/a.h5")
    before = names(tmp_path)
    write(tmp_path / "a.h5", tmp_path / "a/b.h5", tmp_path / "s1/a.b.h5")
    assert set(before) < set(names(tmp_path))


def test_two_files_of_one_name_are_refused_by_theirs(tmp_path):
    write(*(tmp_path / name for name in ("c/a.h5", "a.h5", "d/a.h5", "d/a.dat")))
    for sources in (["c/a.h5", "a.h5"], ["c", "a.h5"], ["d"], ["c", "d"]):
        with pytest.raises(UsageError, match=r"a\.h5 .*would both be called 'a'; give the folder"):
            found([tmp_path / source for source in sources], tmp_path / "out")


def test_a_file_that_is_given_twice_is_one_scan(tmp_path):
    write(tmp_path / "a.h5", tmp_path / "b.h5")
    assert names(tmp_path, tmp_path / "a.h5", tmp_path / "none/../a.h5") == ["a", "b"]


def test_hidden_files_and_results_are_no_raw_files(tmp_path):
    write(*(tmp_path / name for name in (".a.h5", ".git/b.h5", "out/c.h5", "d.h5")))
    assert names(tmp_path, output=tmp_path / "out") == ["d"]
    assert names(tmp_path / "out", output=tmp_path / "out") == ["c"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    write(tmp_path / "s/a.h5", tmp_path / "far/b.h5")
    (tmp_path / "s/up").symlink_to(tmp_path)
    (tmp_path / "s/self").symlink_to(tmp_path / "s")
    (tmp_path / "s/far").symlink_to(tmp_path / "far")
    (tmp_path / "s/nowhere.h5").symlink_to(tmp_path / "none")  # its scan will say so
    assert names(tmp_path / "s") == ["a", "far/b", "nowhere", "up/far/b"]


def test_sound_files_without_raw_data_are_left_out_of_folders_alone(tmp_path, raw):
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["dataset/image_1/data"] = [1]
        file["values"] = [2]
    (tmp_path / "cut.h5").write_bytes(raw.read_bytes()[:-100000])
    (tmp_path / "good.h5").write_bytes(raw.read_bytes())
    here = found([tmp_path], tmp_path / "out")
    assert ([scan.name for scan in here.scans], here.left_out) == (["cut", "good"], 1)
    assert names(tmp_path / "images.h5") == ["images"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch, caplog):
    write(tmp_path / "a.h5", tmp_path / "locked/b.h5")
    scandir = os.scandir

    def refused(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert names(tmp_path) == ["a"]
    assert caplog.messages == [
        f"cannot look for raw files in {tmp_path / 'locked'}: Permission denied"
    ]


def test_nothing_found_says_what_was_looked_for(tmp_path):
    with h5py.File(tmp_path / "images.h5", "w"):
        pass
    with pytest.raises(UsageError, match=r"\*\.h5, .*\*\.dat; HDF5 files without raw data: 1"):
        found([tmp_path], tmp_path / "out")
