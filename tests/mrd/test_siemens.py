"""Siemens' files, by a stand-in for the converter: the real one is no package of Python's."""

from __future__ import annotations

import json
import shutil
import struct
import sys

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd import siemens
from gadgetron_qsm.mrd.raw import opened
from gadgetron_qsm.mrd.siemens import converted, readable

HELP = {
    "old": "  -f [ --file ]  <SIEMENS dat file>\n  -z [ --measNum ]\n",
    "new": "  -z [ --measNum ]\n  --VB  <Input file is from VB>\n  --skipSyncData\n",
}
STAND_IN = """#!{python}
import json, pathlib, shutil, sys
if "--help" in sys.argv:
    print({help!r})
    sys.exit(1)
pathlib.Path({told!r}).write_text(json.dumps(sys.argv[1:]))
{does}
"""
WRITES = "shutil.copy({template!r}, sys.argv[sys.argv.index('-o') + 1])"


@pytest.fixture
def install(tmp_path, monkeypatch, raw_file):
    """A function that puts a converter on the path that does something."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(does=None, version="new"):
        does = does or WRITES.format(template=str(raw_file))
        text = STAND_IN.format(
            python=sys.executable, help=HELP[version], told=str(tmp_path / "told"), does=does
        )
        (folder / siemens.PROGRAM).write_text(text)
        (folder / siemens.PROGRAM).chmod(0o755)
        return tmp_path / "told"

    return install


@pytest.fixture
def dat(tmp_path):
    """A function that makes a file with that start."""

    def make(*start, name="meas_MID1.dat"):
        (tmp_path / name).write_bytes(struct.pack("<2I", *start) + bytes(1000))
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("version", "start", "options"),
    [
        ("new", (0, 3), ["--skipSyncData", "-z", "3"]),
        ("new", (1, 1), ["--skipSyncData", "-z", "1"]),
        ("new", (45_000, 8), ["--skipSyncData", "--VB"]),
        ("old", (0, 2), ["-z", "2"]),
        ("old", (45_000, 8), []),
    ],
)
def test_the_last_measurement_is_converted(install, dat, tmp_path, version, start, options):
    told, path = install(version=version), dat(*start)
    result = converted(path, tmp_path)
    with opened(result) as raw:
        assert len(raw) == 1880
    assert json.loads(told.read_text()) == [*options, "-f", str(path), "-o", str(result)]


def test_what_is_converted_goes_when_it_is_read(install, dat):
    install()
    with readable(dat(0, 1, name="MEAS.DAT")) as path:
        assert path.name == "MEAS.mrd"
        assert path.is_file()
    assert not path.parent.exists()


def test_other_files_are_read_as_they_are(raw_file, tmp_path):
    copy = shutil.copy(raw_file, tmp_path / "scan.dat")
    for path in (raw_file, copy, tmp_path / "absent.dat"):
        with readable(path) as source:
            assert source == path


def test_without_the_program_it_is_told_how_to_get_it(dat, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QsmError, match=r"^meas_MID1\.dat needs siemens_to_ismrmrd.*conda install"):
        converted(dat(0, 1), tmp_path)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("sys.exit('no\\nheader of ' + sys.argv[-3] + '\\n')", r"header of meas_MID1\.dat"),
        ("sys.exit(3)", "it wrote nothing"),
        ("open(sys.argv[-1], 'w').write('half'); sys.exit('disk full')", "disk full"),
        ("pass", "it wrote nothing"),
        ("open(sys.argv[-1], 'w').close()", "it wrote nothing"),
    ],
)
def test_what_the_program_says_of_a_failure_is_told(install, dat, tmp_path, does, why):
    install(does)
    with pytest.raises(QsmError, match=rf"^meas_MID1\.dat could not be converted.*: {why}$"):
        converted(dat(0, 1), tmp_path)


def test_a_program_that_cannot_be_run_is_told(install, dat, tmp_path):
    install()
    (tmp_path / "bin" / siemens.PROGRAM).write_text("#!/absent\n")
    with pytest.raises(QsmError, match="siemens_to_ismrmrd cannot be run: No such file"):
        converted(dat(0, 1), tmp_path)


def test_a_disk_without_room_is_told(install, dat, tmp_path, monkeypatch):
    install()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2000, 1000, 1000))
    with pytest.raises(QsmError, match=r"needs 1\.11e-06 GB.*has 1e-06; set TMPDIR"):
        converted(dat(0, 1), tmp_path)
