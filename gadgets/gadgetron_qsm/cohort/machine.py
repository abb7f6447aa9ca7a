"""How many scans this machine replays at once."""

from __future__ import annotations

from gadgetron_qsm.cohort.asked import Asked
from gadgetron_qsm.processors import threads

MOST = 64  # processes that plan their memory together, see server.ledger


def at_once(asked: Asked) -> tuple[int, int]:
    """Return how many scans at once are asked for, and the CUDA devices that they share.

    By default it is one a device or, without one, one a processor: much of a scan runs on one alone
    (tests.benchmarks.cohort). Where settings name a device it is that one.
    """
    device = asked.settings.device
    gpus = 0
    if device.use != "cpu" and not asked.server:
        from gadgetron_qsm.arrays.places import devices  # CuPy takes a while

        gpus = devices()
    if gpus and "device.number" in asked.properties:
        return asked.jobs or 1, 0
    return asked.jobs or gpus or min(threads(), MOST), gpus
