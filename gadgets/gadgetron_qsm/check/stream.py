"""The server's own gadgets around our nodes in a Gadgetron's stream.

What they do to phase and to pixels is as seen of Gadgetron 4.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from xml.etree.ElementTree import Element

from gadgetron_qsm.check.document import Document, own_text
from gadgetron_qsm.check.nodes import Node
from gadgetron_qsm.site.findings import Finding, Level

COUNTERS = ("contrast", "kspace_encode_step_1", "kspace_encode_step_2")
REFERENCE = "GenericReconCartesianReferencePrepGadget"


@dataclass(frozen=True)
class Harm:
    """What a gadget does to susceptibility: classes as a pattern, and how bad it is."""

    classname: str
    level: Level
    text: str


IN_FRONT = (
    Harm("*KSpaceFilter*", "warning", "it smooths k-space, and so blurs the map; take it out"),
    Harm(
        "*PartialFourierHandling*",
        "warning",
        "it makes up lines that were not acquired, which changes phase; take it out",
    ),
    Harm(
        "SimpleReconGadget",
        "error",
        "it hands on magnitude alone, and there is no susceptibility without phase; take qsm.xml, "
        "which starts from raw data, or qsm_grappa.xml",
    ),
    Harm("Extract*Gadget", "warning", "it may hand on magnitude alone; take it out"),
    Harm("FloatTo*Gadget", "warning", "it rounds what maps are made of; take it out"),
)
LEGACY = Harm(
    "PythonGadget", "error", "it is of old servers; write it as <external> with <execute>"
)
RESCALES = "it changes pixels, which count ppb; take it out"
BEHIND = (
    Harm(
        "DicomFinish*",
        "error",
        "negative pixels end the scan there, and it writes no rescale; let our node write DICOM "
        "(deliver.dicom_folder, store.nodes)",
    ),
    Harm("*ImageArrayScaling*", "warning", RESCALES),
    Harm("AutoScaleGadget", "warning", RESCALES),
    Harm("FloatTo*Gadget", "warning", RESCALES),
    Harm("Extract*Gadget", "warning", RESCALES),
)


def surroundings(document: Document, nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find what in front of our nodes, and behind them, breaks susceptibility."""
    if not nodes:
        return
    every = list(document.nodes())
    first = every.index(nodes[0].element)
    front = every[:first]
    for gadgets, harms in ((front, IN_FRONT), (every[first:], BEHIND), (every, (LEGACY,))):
        for gadget in gadgets:
            yield from _harms(document, gadget, harms)
    yield from _sorting(document, front, nodes[0])
    yield from _coil_maps(document, front)


def _harms(document: Document, gadget: Element, harms: Sequence[Harm]) -> Iterator[Finding]:
    name = own_text(gadget, "classname").strip()
    for harm in harms:
        if fnmatchcase(name, harm.classname):
            yield document.found(harm.level, gadget, f"{name}: {harm.text}")


def _sorting(document: Document, front: Sequence[Element], node: Node) -> Iterator[Finding]:
    """Find what keeps echoes from coming apart, or lines from being turned."""
    named = {own_text(gadget, "classname").strip(): gadget for gadget in front}
    trigger = named.get("AcquisitionAccumulateTriggerGadget")
    dimension = "" if trigger is None else _property(trigger, "trigger_dimension")
    if trigger is not None and dimension in COUNTERS:
        text = f"trigger_dimension '{dimension}' cuts the scan wherever that counter changes"
        yield document.found("error", trigger, f"{text}; leave it empty")
    buffer = named.get("BucketToBufferGadget")
    if buffer is None:
        return
    kept = [_property(buffer, name) for name in ("N_dimension", "S_dimension")]
    if "contrast" not in kept:
        text = "BucketToBufferGadget puts all echoes on one another; set N_dimension to contrast"
        yield document.found("error", buffer, text)
    turned = node.properties.get("kspace.reversed_echoes", "flagged")
    if turned != "flagged":
        text = "BucketToBufferGadget: in its buffers no echo can be turned any more"
        wish = f"kspace.reversed_echoes={turned} has no effect; take qsm.xml"
        yield document.found("error", buffer, f"{text}, so {wish}")
    else:
        text = "of monopolar readouts alone: no gadget in front of ours turns bipolar ones"
        yield document.found("ok", buffer, text)


def _coil_maps(document: Document, front: Sequence[Element]) -> Iterator[Finding]:
    """Find coil maps that differ from echo to echo, and take a part of the phase with them."""
    for gadget in front:
        averaged = _property(gadget, "average_all_ref_N").lower() in ("true", "1")
        if own_text(gadget, "classname").strip() == REFERENCE and not averaged:
            text = f"{REFERENCE}: each echo gets coil maps of its own, which changes the phase"
            yield document.found("warning", gadget, f"{text}; set average_all_ref_N to true")


def _property(gadget: Element, name: str) -> str:
    for element in gadget.findall("property"):
        if element.get("name", own_text(element, "name")).strip() == name:
            return element.get("value", own_text(element, "value")).strip()
    return ""
