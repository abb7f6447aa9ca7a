"""What would cost memory or hours if it were believed: refused in a line, at once."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from gadgetron_qsm.mrd.messages import Image
from tests import encoded
from tests.faults import bombs, small_scan
from tests.faults.census import forget_peak, peak_bytes, resident_bytes
from tests.faults.served import SOON_S

OWN_IN_IT = "<ismrmrdMeta><!-- gadgetron_qsm_ -->"
MOST_BYTES = 128 << 20  # beside what the server holds at rest; a header may have 4 MiB


def refusal(served, stream):
    """What the server says of a stream, if it says so soon and without taking memory for it."""
    assert served.settles()
    at_rest, start = resident_bytes(served.pid), time.monotonic()
    forget_peak(served.pid)
    answer = served.answer(b"".join(stream))
    took_s, taken = time.monotonic() - start, peak_bytes(served.pid) - at_rest
    assert took_s < SOON_S
    assert taken < MOST_BYTES, f"{taken >> 20} MB"
    assert answer.maps == []
    (line,) = answer.refusals
    assert "\n" not in line
    assert len(line) < 600
    return line


OF_EACH_KIND = ("many elements", "entities in entities", "65,535 coils", "negative sizes")


@pytest.mark.parametrize(
    ("command", "name"),
    [*(("serve", name) for name in bombs.HEADERS), *(("gadget", name) for name in OF_EACH_KIND)],
)
def test_a_header_that_costs_too_much_is_refused_before_anything_is_made_of_it(
    served_by, command, name
):
    served, (header, said) = served_by(command), bombs.HEADERS[name]
    line = refusal(served, small_scan.stream(header=header()))
    assert said in line
    assert "Traceback" not in served.log_since()


def reshaped(readout, coils, samples):
    head = readout.head.copy()
    head["active_channels"], head["number_of_samples"] = coils, samples
    head["flags"], head["center_sample"] = 0, samples // 2
    return dataclasses.replace(readout, head=head, data=np.zeros((coils, samples), np.complex64))


@pytest.mark.parametrize(("coils", "samples"), [(65535, 1), (65535, 28), (2, 65535), (1, 65535)])
def test_readouts_that_no_receiver_sends_are_refused(served, coils, samples):
    lines = [
        encoded.message(reshaped(readout, coils, samples))
        for readout in small_scan.readouts()[20:24]
    ]
    config, header, *_, close = small_scan.stream()
    refusal(served, [config, header, *lines, close])
    assert "Traceback" not in served.log_since()


def meta_of(**values):
    """The meta of an image with values of our own."""
    part = "<meta><name>gadgetron_qsm_{}</name><value>{}</value></meta>"
    return f"<ismrmrdMeta>{''.join(part.format(*item) for item in values.items())}</ismrmrdMeta>"


@pytest.mark.parametrize(
    "meta",
    [
        f"<!DOCTYPE l [{bombs.LAUGHS}]><ismrmrdMeta>&a9;</ismrmrdMeta>",
        "<ismrmrdMeta>" + "<a>" * 50_000 + "</a>" * 50_000 + "</ismrmrdMeta>",
        meta_of(report="[" * 100_000),
        meta_of(report="[7]"),
        meta_of(report='{"provenance": {"scan": {"measurement_uid": -1}}}'),
        meta_of(report='{"provenance": {"kspace": 3}}'),
        meta_of(geometry='{"matrix": 7}'),
        meta_of(geometry='"here"'),
        meta_of(slices="0"),
        meta_of(map="[]"),
        meta_of(report='{"timing_s": {"a": "1.5"}}'),
        meta_of(report=r'{"timing_s": {"\ud800": 1.5}}'),
    ],
    ids=["entities", "deep", "deep JSON", *[f"value {number}" for number in range(9)]],
)
def test_the_meta_of_images_is_no_less_suspected(served, meta):
    first, *rest = small_scan.images()
    ours = meta if "gadgetron_qsm_" in meta else meta.replace("<ismrmrdMeta>", OWN_IN_IT)
    sent = [encoded.message(Image(first.head, first.data, ours)), *map(encoded.message, rest)]
    config, header, *_, close = small_scan.stream("images")
    refusal(served, [config, header, *sent, close])
    assert "Traceback" not in served.log_since()


@pytest.mark.parametrize(
    "words",
    [
        '{"parameters": ' + "[" * 200_000,
        '{"parameters": {' + ", ".join(f'"a{n}": {n}' for n in range(200_000)) + "}}",
        '{"parameters": {"customconfig": "' + "../" * 80 + '"}}',
        '{"parameters": {"config": ["fast"]}}',
        '{"parameters": {"swi": {"a": 1}}}',
        r'{"parameters": {"\ud800": 1}}',
        r'{"parameters": {"customconfig": "\ud800"}}',
    ],
    ids=["deep", "many", "folders", "a list", "an object", "a surrogate", "a surrogate as a name"],
)
def test_parameters_that_no_console_sends_are_refused(served_by, words):
    config, header, *rest = small_scan.stream()
    served = served_by("serve")
    refusal(served, [config, header, small_scan.text(5, words), *rest])
    assert "Traceback" not in served.log_since()


@pytest.mark.parametrize(
    "text",
    [
        lambda: f"<!DOCTYPE l [{bombs.LAUGHS}]><configuration>&a9;</configuration>",
        lambda: "<configuration>" + "<a>" * 100_000 + "</a>" * 100_000 + "</configuration>",
        lambda: "<configuration>" + "<property name='a' value='b'/>" * 130_000 + "</configuration>",
        lambda: "<configuration>" + "x" * 20_000_000 + "</configuration>",
    ],
    ids=["entities", "deep", "many", "long"],
)
def test_a_configuration_that_costs_too_much_is_refused(served, text):
    _, *rest = small_scan.stream()
    refusal(served, [small_scan.text(2, text()), *rest])
    assert "Traceback" not in served.log_since()
