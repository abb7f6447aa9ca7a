"""What came back for a spoilt stream: an error line, or a series; and whether that can be true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from xml.etree import ElementTree as ET

import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    Close,
    Error,
    HeaderText,
    Image,
    Message,
    ReconData,
    Record,
    Text,
)
from gadgetron_qsm.mrd.slices import images_to_maps
from gadgetron_qsm.mrd.wire import read_message
from tests.faults.asked import begins_a_scan, maps_asked

# ismrmrd.h: noise, navigation, phase correction, feedback, dummy, surface coils, stabilisation
NO_LINE_OF_THE_IMAGE = sum(1 << (n - 1) for n in (19, 23, 24, 26, 27, 28, 29, 30, 31))
COUNTERS = ("contrast", "slice", "kspace_encode_step_2", "kspace_encode_step_1")
LONGEST_LINE = 600  # characters of an error that a console shows

Line = tuple[int, int, int, int]  # echo, slice, kz, ky


@dataclass
class Verdict:
    """How a stream ended, and what is wrong with that."""

    ending: str
    problems: list[str] = field(default_factory=list)


def judge(stream: bytes, answer: bytes, log: str) -> Verdict:
    """Judge the whole answer to a stream, and what the server logged of it."""
    told = _messages(answer)
    closed = bool(told) and isinstance(told[-1], Close)
    lines = [m.text for m in told if isinstance(m, Text | Error)]
    errors = [m.text for m in told if isinstance(m, Error) or _is_error(m)]
    maps, halves = _maps(told)
    verdict = Verdict(_ending(maps, errors, closed))
    problems = verdict.problems
    if not closed:
        problems.append("ended without CLOSE")
    elif not maps and not errors and begins_a_scan(stream):
        problems.append("a scan had begun and nothing was said")
    if "Traceback" in log:
        problems.append(f"a fault of ours: {log.strip().splitlines()[-1]}")
    if halves and not errors:
        problems.append(halves)
    if any("\n" in text or len(text) > LONGEST_LINE for text in lines) or len(errors) > 1:
        problems.append(f"not one line: {lines}")
    if any(name in text for text in (log, *lines) for name in ("Doe", "PID_0815")):
        problems.append("names the patient")
    problems += [f"{volume.name} is not finite" for volume in maps if not _finite(volume)]
    sent = _messages(stream)
    if not errors:
        warnings = [*lines, *(word for volume in maps for word in volume.report["warnings"])]
        problems += _missing_maps(maps_asked(stream, sent), maps, warnings)
    problems += _claimed_in_vain(sent, maps)
    return verdict


def _is_error(message: Message) -> bool:
    return isinstance(message, Text) and message.text.startswith("ERROR   ")


def _maps(told: list[Message]) -> tuple[list[Map], str]:
    """Maps that came whole, and what is missing of others."""
    maps: list[Map] = []
    try:
        maps += images_to_maps(message for message in told if isinstance(message, Image))
    except QsmError as error:
        return maps, str(error)
    return maps, ""


def _ending(maps: list[Map], errors: list[str], closed: bool) -> str:
    if maps:
        warned = any(volume.report["warnings"] for volume in maps if volume.name == "chi")
        series = "series with a warning" if warned else "series"
        return f"{series}, then an error line" if errors else series
    if errors:
        return "error line"
    return "closed: no scan had begun" if closed else "nothing"


def _finite(volume: Map) -> bool:
    placed = np.isfinite(volume.geometry.affine).all()
    return bool(placed and np.isfinite(volume.data).all())


def _missing_maps(asked: set[str], maps: list[Map], warnings: list[str]) -> Iterator[str]:
    """Find repetitions without a map that was asked for, of which no warning tells either."""
    for repetition in sorted({volume.repetition for volume in maps}) if asked else []:
        came = {volume.name for volume in maps if volume.repetition == repetition}
        for name in sorted(asked ^ came):
            if not any(f"no {name} map" in warning for warning in warnings):
                yield f"maps of repetition {repetition} are {came} and not {asked}"
                return


def _claimed_in_vain(messages: list[Message], maps: list[Map]) -> Iterator[str]:
    """Find series that do not say what they lack."""
    chi = [v for v in maps if v.name == "chi" and not v.report["warnings"]]
    if not chi:
        return
    announced = _announced(messages)
    came = _lines(messages)
    for volume in chi if announced and came else []:
        missing = announced - came[volume.repetition]
        if missing:
            yield f"{len(missing)} lines of repetition {volume.repetition} are missing, unsaid"


def _announced(messages: list[Message]) -> set[Line]:
    """Lines that the header announces; none where it has lines left out on purpose."""
    text = next(message.text for message in messages if isinstance(message, HeaderText))
    root = ET.fromstring(text.rstrip("\0\r\n ").encode())
    if root.find(".//{*}parallelImaging") is not None:
        return set()
    encoding = root.find("{*}encoding")
    ranges = []
    for step, axis in (("kspace_encoding_step_2", "z"), ("kspace_encoding_step_1", "y")):
        limit = encoding.find(f"{{*}}encodingLimits/{{*}}{step}")
        if limit is None:
            size = int(encoding.findtext(f"{{*}}encodedSpace/{{*}}matrixSize/{{*}}{axis}"))
            ranges.append(range(size))
        else:
            first, last = (
                int(limit.findtext(f"{{*}}{end}") or 0) for end in ("minimum", "maximum")
            )
            ranges.append(range(first, last + 1))
    last = encoding.findtext("{*}encodingLimits/{*}slice/{*}maximum") or "0"
    flat = encoding.findtext("{*}encodedSpace/{*}matrixSize/{*}z") == "1"
    echoes = len(root.findall("{*}sequenceParameters/{*}TE"))
    if flat:
        ranges[0] = range(1)
    return set(product(range(echoes), range(int(last) + 1 if flat else 1), *ranges))


def _lines(messages: list[Message]) -> dict[int, set[Line]]:
    """Lines of the image that came, of each repetition."""
    came: dict[int, set[Line]] = defaultdict(set)
    for head in (head for message in messages for head in _heads(message)):
        idx, flags = head["idx"], int(head["flags"])
        if not flags & NO_LINE_OF_THE_IMAGE and not head["encoding_space_ref"]:
            came[int(idx["repetition"])].add(tuple(int(idx[counter]) for counter in COUNTERS))
    return came


def _heads(message: Message) -> Iterator[Record]:
    if isinstance(message, Acquisition):
        yield message.head
    elif isinstance(message, Bucket):
        yield from (readout.head for readout in message.data)
    elif isinstance(message, ReconData):
        for data, _ in message.bits[:1]:
            yield from (head for head in data.headers.flat if head["number_of_samples"])


def _messages(stream: bytes) -> list[Message]:
    """Read messages as long as they make sense, to CLOSE."""
    incoming, messages = BytesIO(stream), []
    try:
        while not messages or not isinstance(messages[-1], Close):
            messages.append(read_message(incoming))
    except QsmError:
        pass
    return messages
