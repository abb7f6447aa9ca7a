"""Messages that nobody would read or write, at the ends of a Gadgetron's chain and at our nodes.

At the top readers bring in what clients send, and writers take out what they get; in an external
node writers hand us data, and readers take our images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from gadgetron_qsm.check.document import Document, own_text
from gadgetron_qsm.check.nodes import Node
from gadgetron_qsm.site.findings import Finding

IMAGE_WRITER = (
    "<writer><dll>gadgetron_core_writers</dll><classname>ImageWriter</classname></writer>"
)
INT16_READER = (
    "<readers><reader><dll>gadgetron_mricore</dll><classname>MRIImageReader</classname></reader>"
    "</readers>"
)


def messages(document: Document, nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find messages that nobody would read or write, at the ends of the chain and at ours."""
    if nodes:
        yield from _ends(document)
    for node in nodes:
        yield from _own(document, node)
        yield from _handed(document, node)


def _ends(document: Document) -> Iterator[Finding]:
    readers, writers = (_classes(document.root, part) for part in ("reader", "writer"))
    if not any("Acquisition" in name or "Image" in name for name in readers):
        text = "there is no reader of readouts or images in <readers>: the first ends the scan"
        yield document.found("error", document.root, text)
    elif any("Acquisition" in name for name in readers) and not any("Wave" in n for n in readers):
        text = "there is no WaveformReader in <readers>: scans with waveforms (ECG, ...) would end"
        yield document.found("warning", document.root, text)
    if not any(name.endswith("ImageWriter") and "Dicom" not in name for name in writers):
        text = "there is no ImageWriter in <writers>: the server would drop the maps without a word"
        yield document.found("error", document.root, f"{text}; add {IMAGE_WRITER}")


def _own(document: Document, node: Node) -> Iterator[Finding]:
    """Find readers and writers of a node, which replace the server's, that miss what passes."""
    readers = _classes(node.element, "reader")
    if readers and not any("Image" in name for name in readers):
        text = "its <readers> replace the server's, and none reads the images that come from us"
        yield document.found("error", node.element, f"{text}; leave them out")
    pixels = node.properties.get("deliver.image_pixels", "")
    if pixels == "int16" and "MRIImageReader" not in readers:
        text = "deliver.image_pixels=int16: the server's own readers take no such images"
        yield document.found("error", node.element, f"{text}; add {INT16_READER} in <external>")


def _handed(document: Document, node: Node) -> Iterator[Finding]:
    """Find writers of a node, which hand it its data, that pass them by."""
    writers = _classes(node.element, "writer")
    raw = next(document.nodes()) is node.element and any(
        "Acquisition" in name for name in _classes(document.root, "reader")
    )
    kinds = ("Acquisition",) if raw else ("Bucket", "Buffer", "Image")
    if writers and not any(kind in name for name in writers for kind in kinds):
        text = "its <writers> replace the server's, and none hands us what arrives there"
        yield document.found("error", node.element, f"{text}; leave them out")


def _classes(parent: Element, kind: str) -> list[str]:
    """Return the classes of the readers or writers of the configuration or of a node."""
    return [own_text(each, "classname").strip() for each in parent.findall(f"{kind}s/{kind}")]
