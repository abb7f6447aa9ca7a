"""Scans that pass through a spool, and what is then in its files."""

from __future__ import annotations

import re
import shlex
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.spool.spool import Spool

FAILURE = RuntimeError("of the reconstruction")


def spooled(settings, messages, header_text="<header/>", failure=FAILURE):
    """Let messages pass, and return what is kept of them."""
    opened = Spool.opened(settings, header_text)
    assert list(opened.tee(messages)) == messages
    return opened.finish(failure)


def readouts_in(path):
    with RawFile(path) as raw:
        return [readout for block in raw.blocks() for readout in block]


def is_readout(message):
    return hasattr(message, "trajectory")


def on_disk(folder):
    """The numbers of readouts in the files that are being written, which others leave alone."""
    return sorted(map(_in_copy_of, folder.glob("*.writing.h5")))


def _in_copy_of(path):
    with tempfile.NamedTemporaryFile(suffix=".h5") as copy:
        copy.write(path.read_bytes())
        copy.flush()
        with suppress(QsmError), RawFile(copy.name) as raw:  # not while it was being changed
            return len(raw)
    return 0


def raw_of(line):
    """The file in the command of a line."""
    command = re.search(r"data are kept: (gadgetron-qsm replay .*)$", line)[1]
    return Path(shlex.split(command)[2])


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
