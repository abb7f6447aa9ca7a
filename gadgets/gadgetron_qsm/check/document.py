"""A configuration as its server reads it, with the lines that its elements stand in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from gadgetron_qsm.mrd.safe_xml import parse_xml
from gadgetron_qsm.site.findings import Finding, Level

OF_A_NODE = ("gadget", "external", "branch", "merge", "distributor")


@dataclass(frozen=True)
class Document:
    """The root of a configuration, and the line of each of its elements.

    Tags are as written, prefix and all: the server (pugixml) knows nothing of namespaces.
    """

    root: Element
    lines: dict[Element, int]

    @classmethod
    def parse(cls, text: str) -> Document:
        """Read a configuration; raises QsmError for broken XML, document types and entities."""
        parse_xml(text, "the configuration")
        builder, parser = TreeBuilder(), expat.ParserCreate("utf-8")
        lines: dict[Element, int] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

        parser.StartElementHandler = start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        parser.Parse(text.encode(), True)
        return cls(builder.close(), lines)

    def found(self, level: Level, element: Element, text: str) -> Finding:
        """Return a finding about an element, with the line that it begins in."""
        return Finding(level, "configuration", text, self.lines[element])

    def nodes(self) -> Iterator[Element]:
        """Give every gadget and external node, in the order in which data pass them."""
        stream = self.root.find("stream")
        return iter(()) if stream is None else (e for e in stream.iter() if e.tag in OF_A_NODE)


def own_text(element: Element, name: str) -> str:
    """Return the text of a child, as written; "" when there is no such child."""
    child = element.find(name)
    return "" if child is None else child.text or ""
