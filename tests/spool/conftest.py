"""The readouts, images and connections of the tests of mrd; files of scans that were cut short."""

import itertools
import os

import pytest

from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.scan import SpooledScan
from tests.mrd.conftest import (
    answers,
    connected,
    make_acquisition,
    make_image,
    make_waveform,
    rng,
    send,
    sockets,
)
from tests.spool import victim

__all__ = [
    "answers",
    "connected",
    "make_acquisition",
    "make_image",
    "make_waveform",
    "rng",
    "send",
    "sockets",
]

WRITING = ".4711.writing.h5"


def name(path, day, kind=".h5"):
    """The file of a scan that began at noon of a day in March 2026."""
    return path / f"202603{day:02}T120000000000Z_0123abcd{kind}"


@pytest.fixture
def descriptor(tmp_path):
    number = os.open(tmp_path / "growing.h5", os.O_RDWR | os.O_CREAT)
    yield number
    os.close(number)


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory):
    """What is in the file of a scan of 300 readouts, and in one without any, when it is killed."""
    found = []
    for items in (300, 0):
        path = tmp_path_factory.mktemp("cut") / "short.h5"
        with path.open("w+b") as file:
            scan = SpooledScan(file.fileno(), "<scan>7</scan>")
            scan.add(itertools.islice(victim.readouts(7), items))
            scan.write()
        found.append(path.read_bytes())
    return found


@pytest.fixture
def settings(tmp_path):
    return SpoolSettings(folder=tmp_path / "raw" / "spool")


@pytest.fixture
def scan(make_acquisition, make_waveform):
    """Readouts of many sizes, with and without trajectories and flags, waveforms between them."""
    messages = []
    for number in range(60):
        readout = make_acquisition(1 + number % 5, 1 + 7 * number, number % 4)
        readout.head["flags"] = 1 << number
        messages += [readout, make_waveform(1 + number % 2, number)][: 1 + number % 2]
    return messages
