"""Ways to spoil a stream: its bytes, lengths, numbers, and the order of its messages.

Each takes a random.Random and the encoded messages of a stream, and returns messages. What is
spoilt is decided by the random numbers alone: a seed and a number make the same stream again.
"""

from __future__ import annotations

import struct
from random import Random

from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, IMAGE_HEADER, WAVEFORM_HEADER
from tests.faults import small_scan

Messages = list[bytes]

HEADS = {1008: ACQUISITION_HEADER, 1022: IMAGE_HEADER, 1026: WAVEFORM_HEADER}
KINDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 1008, 1018, 1019, 1022, 1023, 1024, 1026, 1030, 1050, 1051)
FLOATS = (0.0, -1.0, 1e-38, 1e30, 3e38, float("nan"), float("inf"), float("-inf"))


def kind_of(message: bytes) -> int:
    return int.from_bytes(message[:2], "little")


def flip_bytes(rng: Random, messages: Messages) -> Messages:
    """Replace some bytes anywhere."""
    stream = bytearray(b"".join(messages))
    for _ in range(rng.choice((1, 2, 8, 64))):
        stream[rng.randrange(len(stream))] = rng.randrange(256)
    return [bytes(stream)]


def flip_bytes_in_front(rng: Random, messages: Messages) -> Messages:
    """Replace some bytes of configuration, header and the first readouts: most are samples."""
    stream = bytearray(b"".join(messages))
    for _ in range(rng.choice((1, 2, 8))):
        stream[rng.randrange(min(len(stream), 8000))] ^= 1 << rng.randrange(8)
    return [bytes(stream)]


def number_in_a_head(rng: Random, messages: Messages) -> Messages:
    """Give a field of one readout's or image's head, or of all behind it, another value."""
    places = [at for at, message in enumerate(messages) if kind_of(message) in HEADS]
    if not places:
        return number_in_an_aggregate(rng, messages)
    first = rng.choice(places)
    dtype = HEADS[kind_of(messages[first])]
    offset, of = _field(rng, dtype)
    value = _value(rng, of)
    for at in [p for p in places if p >= first] if rng.random() < 0.2 else [first]:
        if HEADS[kind_of(messages[at])] is dtype:
            messages[at] = _replaced(messages[at], 2 + offset, value)
    return messages


def number_in_an_aggregate(rng: Random, messages: Messages) -> Messages:
    """Write a number over eight bytes near the front of the largest message: sizes are there."""
    at = max(range(len(messages)), key=lambda n: len(messages[n]))
    offset = 2 + 8 * rng.randrange(16)
    value = struct.pack("<Q", rng.choice((0, 1, 2, 7, 255, 65536, 1 << 31, 1 << 40, (1 << 64) - 1)))
    messages[at] = _replaced(messages[at], offset, value)
    return messages


def kind(rng: Random, messages: Messages) -> Messages:
    """Call a message one of another kind."""
    at = rng.randrange(len(messages))
    number = rng.choice((*KINDS, rng.randrange(1 << 16)))
    messages[at] = struct.pack("<H", number) + messages[at][2:]
    return messages


def length_of_a_text(rng: Random, messages: Messages) -> Messages:
    """Announce a text longer or shorter than it is."""
    places = [at for at, message in enumerate(messages) if kind_of(message) in (2, 3, 5)]
    if not places:
        return truncate(rng, messages)
    at = rng.choice(places)
    size = len(messages[at]) - 6
    other = rng.choice((0, 1, size - 1, size + 1, size // 2, size + 1000, 1 << 26, 0xFFFFFFFF))
    messages[at] = _replaced(messages[at], 2, struct.pack("<I", max(other, 0)))
    return messages


def truncate(rng: Random, messages: Messages) -> Messages:
    """End anywhere."""
    stream = b"".join(messages)
    return [stream[: rng.randrange(len(stream))]]


def cut_out(rng: Random, messages: Messages) -> Messages:
    """Leave some bytes out, anywhere."""
    stream = b"".join(messages)
    start = rng.randrange(len(stream))
    return [stream[:start] + stream[start + rng.choice((1, 2, 4, 340, 5000)) :]]


def splice(rng: Random, messages: Messages) -> Messages:
    """Go on as another stream, from between two messages or from anywhere."""
    other = small_scan.stream(rng.choice(list(small_scan.FORMS)))
    if rng.random() < 0.5:
        return messages[: rng.randrange(len(messages))] + other[rng.randrange(len(other)) :]
    ours, theirs = b"".join(messages), b"".join(other)
    return [ours[: rng.randrange(len(ours))] + theirs[rng.randrange(len(theirs)) :]]


def double(rng: Random, messages: Messages) -> Messages:
    """Send some messages twice."""
    start = rng.randrange(len(messages))
    some = messages[start : start + rng.choice((1, 1, 2, 20, 1000))]
    at = rng.choice((start, rng.randrange(len(messages))))
    return messages[:at] + some + messages[at:]


def leave_out(rng: Random, messages: Messages) -> Messages:
    """Leave some messages out."""
    start = rng.randrange(len(messages))
    return messages[:start] + messages[start + rng.choice((1, 1, 2, 20, 1000)) :]


def reorder(rng: Random, messages: Messages) -> Messages:
    """Send the data, or everything, in another order."""
    start, end = rng.choice(((2, len(messages) - 1), (0, len(messages))))
    some = messages[start:end]
    if rng.random() < 0.5:
        rng.shuffle(some)
    elif some:
        turn = rng.randrange(len(some))
        some = some[turn:] + some[:turn]
    return messages[:start] + some + messages[end:]


def garbage(rng: Random, messages: Messages) -> Messages:
    """Put random bytes somewhere, or send nothing else."""
    noise = rng.randbytes(rng.choice((1, 2, 100, 5000)))
    if rng.random() < 0.2:
        return [noise]
    at = rng.randrange(len(messages))
    return [*messages[:at], noise, *messages[at:]]


def samples(rng: Random, messages: Messages) -> Messages:
    """Give some samples, or all of a readout or image, values that none has."""
    places = [at for at, message in enumerate(messages) if kind_of(message) in (1008, 1022)]
    if not places:
        return flip_bytes(rng, messages)
    value = struct.pack("<f", rng.choice(FLOATS))
    for at in rng.sample(places, min(len(places), rng.choice((1, 1, 40, 1000)))):
        message = messages[at]
        start = len(message) - 4 * rng.choice((1, 2, 8, 2 * small_scan.NX))
        messages[at] = message[:start] + value * ((len(message) - start) // 4)
    return messages


def _replaced(message: bytes, offset: int, value: bytes) -> bytes:
    return (message[:offset] + value + message[offset + len(value) :])[: len(message)]


def _field(rng: Random, dtype) -> tuple[int, str]:
    """Offset of a number in a head, and its type."""
    offset = 0
    while True:
        name = rng.choice(dtype.names)
        of, start = dtype.fields[name][:2]
        offset += start
        if of.names is None:
            break
        dtype = of
    size = of.subdtype[1][0] if of.subdtype else 1
    return offset + of.base.itemsize * rng.randrange(size), of.base.str


def _value(rng: Random, of: str) -> bytes:
    size = int(of[-1])
    if of[1] == "f":
        return struct.pack("<f" if size == 4 else "<d", rng.choice(FLOATS))
    most = (1 << 8 * size) - 1
    value = rng.choice((0, 1, 2, 3, 7, most, most >> 1, most // 3, 1 << rng.randrange(8 * size)))
    return value.to_bytes(size, "little")
