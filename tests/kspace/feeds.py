"""Feeds that take batches to whatever device a test has."""

from __future__ import annotations

import sys

from gadgetron_qsm.arrays.feed import DeviceFeed, HostFeed


class StandInFeed(HostFeed):
    """Takes each batch to the stand-in, where it is overwritten as soon as it may be."""

    def __init__(self, move):
        self._move, self._sent = move, []

    def send(self, batch):
        self._sent.append(self._move(batch))
        for old in self._sent[:-2]:
            old[...] = float("nan")
        return self._sent[-1]


def feed_to(device):
    """Return the feed to the device of the fixture of that name."""
    return StandInFeed(device) if device is not sys.modules["cupy"].asarray else DeviceFeed()
