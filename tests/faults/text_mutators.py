"""Ways to spoil what a stream says in words: configuration, header, parameters; as `mutators`."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from random import Random

from tests.faults import small_scan
from tests.faults.mutators import Messages, kind_of

NUMBERS = (
    "0", "1", "2", "-1", "3", "7", "12", "24", "65535", "65536", "4294967295", "4294967296",
    "99999999999999999999", "1e308", "1e-308", "nan", "inf", "-inf", "0.5", "1,5", "0x10", "",
    " ", "many", "5 10", "\u0663",
)  # fmt: skip
CONTROLS = ("config", "customconfig", "r2star", "swi", "mask", "reference", "incomplete", "twopass")


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
