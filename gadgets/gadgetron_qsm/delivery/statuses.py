"""What a node answers to an operation, and what follows from it (PS3.7 annex C, PS3.4 B.2.3)."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["confirmed", "refused", "full", "put off"]

DUPLICATE = 0x0111  # it has an object of this identity, which are ours alone: it has this one
WARNINGS = (0x0001, 0x0107, 0x0116)  # and those that begin with B
NEVER = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0115: "invalid argument value",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class and instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
}
NOT_NOW = {
    0x0110: "processing failure",
    0x0124: "not authorised",
    0x0210: "duplicate invocation",
    0x0213: "resource limitation",
}


def verdict(status: int) -> Verdict:
    """Say what an answer to C-STORE means for the object.

    confirmed: the node has it, though perhaps changed a little. refused: it will never take it.
    full: it takes nothing now. put off: not this object now, perhaps others. What the standard
    does not define is put off, lest an object be given up for a moment's fault.
    """
    if status == 0 or status in (*WARNINGS, DUPLICATE) or status >> 12 == 0xB:
        return "confirmed"
    if status in NEVER or status >> 8 == 0xA9 or status >> 12 == 0xC:
        return "refused"
    if status >> 8 == 0xA7 or status == 0x0213:
        return "full"
    return "put off"


def meaning_of(status: int) -> str:
    """Return a status in words and as the hexadecimal number that logs show."""
    kind = {0xA7: "out of resources", 0xA9: "data set does not match SOP class"}.get(status >> 8)
    if status >> 12 == 0xC:
        kind = "cannot understand"
    words = kind or NEVER.get(status) or NOT_NOW.get(status) or "status"
    return f"{words} ({status:04X})"
