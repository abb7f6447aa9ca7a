"""Ways to spoil a stream: its bytes, lengths, numbers, texts, and the order of its messages.

Each takes a random.Random and the encoded messages of a stream, and returns messages. What is
spoilt is decided by the random numbers alone: a seed and a number make the same stream again.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    ACQUISITION_HEADER,
    IMAGE_HEADER,
    WAVEFORM_HEADER,
    HeaderText,
)
from gadgetron_qsm.mrd.wire import read_message
from tests.faults import small_scan

Messages = list[bytes]
Mutator = Callable[[Random, Messages], Messages]

HEADS = {1008: ACQUISITION_HEADER, 1022: IMAGE_HEADER, 1026: WAVEFORM_HEADER}
KINDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 1008, 1018, 1019, 1022, 1023, 1024, 1026, 1030, 1050, 1051)
NUMBERS = (
    "0", "1", "2", "-1", "3", "7", "12", "24", "65535", "65536", "4294967295", "4294967296",
    "99999999999999999999", "1e308", "1e-308", "nan", "inf", "-inf", "0.5", "1,5", "0x10", "",
    " ", "many", "5 10", "\u0663",
)  # fmt: skip
FLOATS = (0.0, -1.0, 1e-38, 1e30, 3e38, float("nan"), float("inf"), float("-inf"))
CONTROLS = ("config", "customconfig", "r2star", "swi", "mask", "reference", "incomplete", "twopass")


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


def value_in_the_header(rng: Random, messages: Messages) -> Messages:
    """Give an element of the MRD header another value."""
    return _xml(rng, messages, 3, lambda text: _other_value(rng, text))


def element_of_the_header(rng: Random, messages: Messages) -> Messages:
    """Leave an element of the MRD header out, double it, rename it, or put a new one in."""
    return _xml(rng, messages, 3, lambda text: _other_element(rng, text))


def text_of_the_header(rng: Random, messages: Messages) -> Messages:
    """Break the MRD header as a text."""
    return _xml(rng, messages, 3, lambda text: _broken(rng, text))


def configuration(rng: Random, messages: Messages) -> Messages:
    """Send another configuration: other values, broken, or another name."""
    if not messages or kind_of(messages[0]) not in (1, 2):
        return messages
    if rng.random() < 0.4:
        name = rng.choice(
            ("fast", "qsm.xml", "", "..", "../configs/fast", "/etc/passwd", "nul\0inside",
             "a" * 1023, "\xff\xfe", "fast\n", "default.xml", "fast.xml.xml", "%s%n", "C:\\fast")
        )  # fmt: skip
        messages[0] = struct.pack("<H1024s", 1, name.encode("latin-1"))
        return messages
    changes: list[Callable[[str], str]] = [
        lambda text: re.sub(r'value="[^"]*"', f'value="{_number(rng)}"', text, count=1),
        lambda text: text.replace("inversion.method", rng.choice(_PROPERTIES)),
        lambda text: text.replace("<property", "<property" * rng.randrange(3), 1),
        lambda text: _broken(rng, text),
    ]
    return _xml(rng, messages, 2, rng.choice(changes))


_PROPERTIES = (
    "preset", "device.use", "kspace.incomplete", "coils.phase_sign", "deliver.maps", "store.nodes",
    "deliver.dicom_folder", "server.connections", "spool.folder", "", "no.such", "mask.method",
    "deliver.console",
)  # fmt: skip


def parameters(rng: Random, messages: Messages) -> Messages:
    """Put a text behind the header, as the operator's parameters come."""
    value = rng.choice((True, False, "True", "warn", "fast", 7, None, [], {}, "x" * 300, 1e400))
    document = {"version": "1.1.0", "parameters": {rng.choice(CONTROLS): value}}
    words = rng.choice(
        (json.dumps(document), json.dumps(document)[:-3], "{}", "[1]", "{" * 5000, "INFO hello",
         '{"parameters": []}', '{"parameters": {"config": "../fast"}}', "\0", "")
    )  # fmt: skip
    messages.insert(min(2, len(messages)), small_scan.text(5, words, b"\0" * rng.randrange(2)))
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


MUTATORS: dict[str, Mutator] = {
    mutator.__name__.replace("_", " "): mutator
    for mutator in (
        flip_bytes, flip_bytes_in_front, number_in_a_head, number_in_an_aggregate, kind,
        length_of_a_text, value_in_the_header, element_of_the_header, text_of_the_header,
        configuration, parameters, truncate, cut_out, splice, double, leave_out, reorder, garbage,
        samples,
    )
}  # fmt: skip


WAITING = 0.1  # of the senders; the others say that no more will come, or that they have closed

# What clients ask for: the quick way, DICOM too, incomplete scans too, every map, a whole preset.
CONFIGURATIONS = {
    "quick": {},
    "dicom": {"deliver.console": "both"},
    "incomplete": {"kspace.incomplete": "warn"},
    "every map": {
        "deliver.maps": "chi,r2star,total_field,local_field,mask,swi,swi_mip,magnitude,phase"
    },
    "slices": {"deliver.image_slices": "true", "deliver.image_pixels": "int16"},
    "preset": {"inversion.method": "ss_tv", "inversion.smallest_radius_mm": "4"},
}


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
    return Spoilt(done, stream, waits=rng.random() < WAITING and _begins_a_scan(stream))


def _begins_a_scan(stream: bytes) -> bool:
    """Tell whether the server knows that a scan comes, which it waits for longer than for one."""
    incoming = BytesIO(stream)
    try:
        return any(isinstance(read_message(incoming), HeaderText) for _ in range(2))
    except QsmError:
        return False


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


def _number(rng: Random) -> str:
    return rng.choice(NUMBERS)


def _xml(rng: Random, messages: Messages, of: int, change: Callable[[str], str]) -> Messages:
    """Change the text of the first message of a kind, and its length with it."""
    for at, message in enumerate(messages):
        if kind_of(message) == of:
            words = message[6:].decode("utf-8", errors="replace")
            end = rng.choice((b"", b"", b"\0", b"\0\0\0", b"\n"))
            messages[at] = small_scan.text(of, change(words), end)
            break
    return messages


def _other_value(rng: Random, text: str) -> str:
    values = list(re.finditer(r">([^<>]+)</", text))
    if not values:
        return text
    chosen = rng.choice(values)
    return text[: chosen.start(1)] + _number(rng) + text[chosen.end(1) :]


_STEP_1 = "<kspace_encoding_step_1>{0}</kspace_encoding_step_1>"
_STEP_2 = "<kspace_encoding_step_2>{1}</kspace_encoding_step_2>"
_NEW = (
    f"<parallelImaging><accelerationFactor>{_STEP_1}{_STEP_2}</accelerationFactor></parallelImaging>",
    "<slice><minimum>0</minimum><maximum>{0}</maximum><center>{1}</center></slice>",
    "<repetition><minimum>0</minimum><maximum>{0}</maximum><center>{1}</center></repetition>",
    "<average><minimum>0</minimum><maximum>{0}</maximum><center>{1}</center></average>",
    "<TE>{0}</TE>",
    "<nonsense a='{0}'>{1}</nonsense>",
)


def _other_element(rng: Random, text: str) -> str:
    elements = list(re.finditer(r"<(\w+)>(?:(?!<\1>).)*?</\1>", text, re.DOTALL))
    if not elements:
        return text
    chosen = rng.choice(elements)
    whole = chosen.group()
    new = rng.choice(_NEW).format(_number(rng), _number(rng))
    others = ("", whole * 2, whole.replace(chosen.group(1), "other"), whole + new, new + whole)
    return text[: chosen.start()] + rng.choice(others) + text[chosen.end() :]


def _broken(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    bad = rng.choice(
        ("\0", "<", "&", "]]>", "\ufffe", "<!--", "<a>", "&#0;", "&lt;", "\r\r", "\x1b")
    )
    return rng.choice((text[:at], text[at:], text[:at] + bad + text[at:], text * 2, bad, ""))
