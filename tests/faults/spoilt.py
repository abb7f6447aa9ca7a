"""Streams that are spoilt in one way or several, by a seed and a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.faults import mutators, small_scan, text_mutators
from tests.faults.asked import CONFIGURATIONS, begins_a_scan
from tests.faults.mutators import Messages

Mutator = Callable[[Random, Messages], Messages]

MUTATORS: dict[str, Mutator] = {
    mutator.__name__.replace("_", " "): mutator
    for mutator in (
        mutators.flip_bytes,
        mutators.flip_bytes_in_front,
        mutators.number_in_a_head,
        mutators.number_in_an_aggregate,
        mutators.kind,
        mutators.length_of_a_text,
        text_mutators.value_in_the_header,
        text_mutators.element_of_the_header,
        text_mutators.text_of_the_header,
        text_mutators.configuration,
        text_mutators.parameters,
        mutators.truncate,
        mutators.cut_out,
        mutators.splice,
        mutators.double,
        mutators.leave_out,
        mutators.reorder,
        mutators.garbage,
        mutators.samples,
    )
}
WAITING = 0.1  # of the senders; the others say that no more will come, or that they have closed


@dataclass(frozen=True)
class Spoilt:
    """A stream, what was done to it, and whether its sender waits without a word behind it."""

    done: str
    stream: bytes
    waits: bool


def spoilt(seed: int, number: int) -> Spoilt:
    """Return one of the streams of a seed."""
    rng = Random(f"{seed} {number}")
    form = rng.choice((*["acquisitions"] * 4, *small_scan.FORMS))
    asked = rng.choice((*["quick"] * 4, *CONFIGURATIONS))
    messages = small_scan.stream(form, small_scan.config_text(CONFIGURATIONS[asked]))
    done = rng.choices(list(MUTATORS), k=rng.choice((1, 1, 1, 2, 3)))
    for name in done:
        messages = [message for message in MUTATORS[name](rng, messages) if message] or [b"\0"]
    done = f"{form}, {asked}: {', '.join(done)}"
    stream = b"".join(messages)
    return Spoilt(done, stream, waits=rng.random() < WAITING and begins_a_scan(stream))
