"""What the latency benchmark tells is what happened."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gadgetron_qsm import exchange
from gadgetron_qsm.data import Map
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.images import map_to_image
from gadgetron_qsm.mrd.messages import Acquisition
from tests.benchmarks import latency
from tests.benchmarks.compare import MAPS, differences
from tests.benchmarks.product import Product
from tests.benchmarks.runs import Source, found
from tests.benchmarks.scanner import Course, scan
from tests.benchmarks.sizes import Size
from tests.benchmarks.stream import Stream

TR_S = 0.01
GEOMETRY = Geometry((2, 2, 2), (1.0,) * 3, (0.0,) * 3, (1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))


def volume(name, data=None, report=None):
    data = np.ones((2, 2, 2), np.float32) if data is None else data
    return Map(name, data, "ppb", GEOMETRY, report=report or {})


@pytest.fixture(scope="module")
def stream():
    return Stream(Size((6, 4, 8), coils=2, echoes=2, acceleration=(1, 1), snr=50.0))


@pytest.fixture
def counting():
    """The port of a server that takes a scan and sends two maps back, and what it has received."""
    received = []

    def take(connection):
        received.extend(connection)
        for number, name in enumerate(("chi", "r2star"), start=1):
            connection.send(map_to_image(volume(name), number))

    with exchange.serving(take) as port:
        yield port, received


def test_all_readouts_go_out_before_the_maps_come_back(counting, stream):
    port, received = counting
    course = scan(port, stream.header_text, stream.batches(), {"preset": "fast"})
    assert len(received) == stream.scan.noise_lines + 2 * stream.lines
    assert all(isinstance(message, Acquisition) for message in received)
    assert course.first_sent < course.last_sent < course.arrival("chi") < course.arrival()
    assert [name.name for _, name in course.maps] == ["chi", "r2star"]
    assert course.sent_bytes == stream.raw_bytes + len(received) * 342


def test_at_a_pace_each_tr_waits_for_its_turn(counting, stream):
    port, received = counting
    course = scan(port, stream.header_text, stream.batches(), {}, TR_S)
    last = (stream.scan.noise_lines + stream.lines - 1) * TR_S
    assert last < course.streaming_s < last + 0.5
    assert course.pausing_s > last / 2
    assert len(received) == stream.scan.noise_lines + 2 * stream.lines


def test_what_the_product_refuses_is_told(stream):
    with Product() as product, pytest.raises(RuntimeError, match="no_such"):
        scan(product.port, stream.header_text, stream.batches(), {"no_such": "setting"})


def test_a_scan_through_the_product_gives_its_times_and_a_true_map(tmp_path, capsys):
    told_in = tmp_path / "told.json"
    latency.main(["--size", "tiny", "--preset", "fast", "--json", str(told_in)])
    told = json.loads(told_in.read_text())
    runs = told["presets"]["fast"]
    assert len(runs) == 2
    for run in runs:
        assert 0 < run["chi_latency_s"] <= run["latency_s"]
        assert run["limited_by"] == "product"
        assert run["correlation"] > 0.8
        assert {"ingest", "coils", "field", "mask", "inversion"} <= set(run["stages_s"])
        behind = sum(run["stages_s"][name] for name in ("coils", "field", "mask", "inversion"))
        assert run["chi_latency_s"] > behind
        assert run["mb_per_s"] == pytest.approx(
            1000 * run["raw_gb"] / run["stream_s"], rel=0.15
        )  # the heads of such short readouts add that much
        assert 0 < run["mb_per_s_to_images"] < run["mb_per_s"]
        assert 0.05 < run["peak_host_gb"] < 5
        assert run["planned_gb"] > 0.1
    printed = capsys.readouterr().out
    assert "fast, cold" in printed
    assert "fast, warm" in printed


def test_figures_of_memory_are_found_wherever_the_report_has_them():
    report = {"timing_s": {"coils": 1.0}, "quality": {"memory": {"peak_device_bytes": 5}}}
    assert found(report, "peak_device_bytes") == 5
    assert found(report, "peak_memory_bytes") is None


def test_maps_are_as_far_apart_as_their_difference_in_the_mask():
    inside = np.zeros((2, 2, 2), np.float32)
    inside[0] = 1
    one = Course(maps=[(0.0, volume(name)) for name in MAPS])
    other = Course(maps=[(0.0, volume(name, 1.5 - 0.4 * inside)) for name in MAPS])
    for course in (one, other):
        course.maps.append((0.0, volume("mask", inside)))
    apart = differences(one, other)
    assert apart.pop("mask") == 0
    assert apart == pytest.approx(dict.fromkeys(MAPS, 0.1))


def test_without_a_gpu_there_is_nothing_to_compare(capsys, monkeypatch):
    monkeypatch.setattr("tests.benchmarks.compare.gpu_name", lambda: None)
    monkeypatch.setattr(Source, "of", lambda _size: None)
    latency.main(["--size", "tiny", "--compare"])
    assert "no GPU" in capsys.readouterr().out
