"""The gadget that measures maps on their way to the console."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Image, Message
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.outgoing import Outgoing
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.wanted import require_measurement


def measure(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Image]:
    """Maps to the same maps, at once; then what settings ask for is measured in them.

    What is measured leaves as settings say: a folder, archives, a report; images of maps do not.
    """
    require_measurement(settings)
    scan = Outgoing(header, settings, images=False)
    passing: deque[Image] = deque()
    try:
        for volume in images_to_maps(_noted(messages, passing)):
            yield from _all_of(passing)
            scan.objects(scan.seen(volume))
        yield from _all_of(passing)
    except Exception as error:
        scan.finish(error)
        raise
    finally:
        scan.settle()
    scan.finish()


def _noted(messages: Iterable[Message], passing: deque[Image]) -> Iterator[Image]:
    """Give the images among messages, and keep each for who passes them on."""
    for message in messages:
        if isinstance(message, Image):
            passing.append(message)
            yield message


def _all_of(passing: deque[Image]) -> Iterator[Image]:
    while passing:
        yield passing.popleft()
