"""Is a Gadgetron's configuration usable: its form, what is around our nodes, their settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gadgetron_qsm.check.document import Document
from gadgetron_qsm.check.messages import messages
from gadgetron_qsm.check.nodes import Node, calls, ours
from gadgetron_qsm.check.properties import contradictions, problems, properties_of
from gadgetron_qsm.check.schema import structure
from gadgetron_qsm.check.stream import surroundings
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.findings import Finding
from gadgetron_qsm.site.selftest import selftest


def configuration(text: str) -> Iterator[Finding]:
    """Find everything that is wrong with a configuration, and tell what it asks for.

    What is right comes first, then what is wrong in the order of lines, then what it reaches.
    Raises QsmError for what is no configuration at all, and for the old form.
    """
    document = Document.parse(text)
    found = list(structure(document))
    nodes = ours(document)
    found += calls(document, nodes)
    found += surroundings(document, nodes)
    found += messages(document, nodes)
    for node in nodes:
        found += properties_of(document, node)
    found += contradictions(document, nodes)
    yield from sorted(found, key=lambda each: (each.level != "ok", each.line))
    yield from _site(nodes)


def _site(nodes: list[Node]) -> Iterator[Finding]:
    """Try what scans with these settings need: folders, disks, archives, the device.

    An archive that is down, or an atlas that cannot be read, ends no scan, but whoever checks wants
    to know whether it works.
    """
    properties = {key: value for node in nodes for key, value in node.properties.items()}
    if not nodes or any(problems(properties)):
        return
    for finding in selftest(Settings.from_properties(properties)):
        of_site = finding.what.startswith(("archive", "measure."))
        bad = of_site and finding.level == "warning"
        yield replace(finding, level="error") if bad else finding
