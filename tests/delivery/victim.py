"""Processes that put and send, and are killed: one child after the other.

A child prints the number of each series that is in the outbox. It is forked, since it takes a
second to start Python anew, and killed by its own parent, which cannot mistake it for another.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import Outbox
from gadgetron_qsm.delivery.sender import Sender
from gadgetron_qsm.delivery.terms import Terms
from tests.delivery.series import slices

SERIES, SLICES, SIDE = 5, 8, 32
LONGEST_S = 0.3  # to put and send all of them takes about as long


def main(folder: Path, node: Node, kills: int) -> None:
    delays = random.Random(20)
    for kill in range(kills):
        child = os.fork()
        if not child:
            put_and_send(folder, node, 10 * (kill + 1))
        time.sleep(delays.uniform(0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def put_and_send(folder: Path, node: Node, first: int) -> None:
    sender = Sender(folder)
    sender.start()
    for series in range(first, first + SERIES):
        with Outbox(folder) as outbox:
            outbox.put(slices(series, SLICES, SIDE), [node], Terms())
        os.write(1, f"{series}\n".encode())
        sender.notify()
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Node.parse(sys.argv[2]), int(sys.argv[3]))
