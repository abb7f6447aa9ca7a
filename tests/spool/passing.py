"""Scans that pass through a spool, and what is then in its files."""

from __future__ import annotations

import threading

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
    """Readouts in the file that is being written, which others leave alone."""
    writing = list(folder.glob("*.writing.h5")) if folder.is_dir() else []
    if not writing or not writing[0].stat().st_size:
        return 0
    (folder.parent / "copy.h5").write_bytes(writing[0].read_bytes())
    return len(readouts_in(folder.parent / "copy.h5"))


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")
