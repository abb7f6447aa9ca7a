"""XML that came over a network: parsed without document types and entities, small, shallow."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.parsers import expat

from gadgetron_qsm.errors import QsmError

# With their attributes: twice those of 1 MiB of user parameters, the longest header seen.
MOST_ELEMENTS = 100_000
DEEPEST = 64  # levels; MRD headers and Gadgetron's configurations have fewer than 10


def parse_xml(text: str, what: str) -> ET.Element:
    """Return the root of `text`; raise QsmError when it is broken or not to be trusted."""
    check_xml(text, what)
    try:
        return ET.fromstring(text.encode())  # noqa: S314
    except (ET.ParseError, ValueError, LookupError) as error:
        raise QsmError(f"{what} is not valid XML: {error}") from error


def check_xml(text: str, what: str) -> None:
    """Read through `text` and keep nothing of it.

    Raises QsmError when it is broken, has a document type or entities, or is larger or deeper than
    any sane sender's.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise QsmError(f"{what} has a document type or entities, which are not accepted")
    parser, counter = expat.ParserCreate(), _Counter(what)
    parser.StartElementHandler = counter.start
    parser.EndElementHandler = counter.end
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last: of an encoding
        raise QsmError(f"{what} is not valid XML: {error}") from error


def local_name(element: ET.Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition("}")[2]


class _Counter:
    """Counts elements and levels; raises QsmError for too many."""

    def __init__(self, what: str) -> None:
        self._what, self._elements, self._depth = what, 0, 0

    def start(self, _: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1 + len(attributes)
        self._depth += 1
        if self._elements > MOST_ELEMENTS:
            raise QsmError(f"{self._what} has more than {MOST_ELEMENTS} elements; leave some out")
        if self._depth > DEEPEST:
            raise QsmError(f"{self._what} is nested more than {DEEPEST} levels deep")

    def end(self, *_: object) -> None:
        self._depth -= 1
