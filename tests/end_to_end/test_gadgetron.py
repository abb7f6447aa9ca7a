"""Recorded bytes of a Gadgetron server through the gadgets, each process started as it does."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import COMPLEX
from gadgetron_qsm.mrd.messages import Close, Image
from gadgetron_qsm.mrd.wire import read_message
from gadgetron_qsm.settings import Settings

STREAMS = [
    "server_acquisitions_r2",
    "server_acquisitions_whitened_r2",
    "server_bucket_r2",
    "server_recondata_full",
    "server_recondata_r2",
    "server_imagearray_r2",
    "server_images_r2",
]
DEEP_NUCLEI = range(1, 8)


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


def assert_lies_where_the_scan_was(geometry, truth):
    np.testing.assert_allclose(geometry.voxel_size, truth["voxel"], atol=1e-4)
    np.testing.assert_allclose(geometry.position, truth["position"], atol=1e-4)
    for ours, true in (("read_dir", "read"), ("phase_dir", "phase"), ("slice_dir", "slice")):
        np.testing.assert_allclose(getattr(geometry, ours), truth[true], atol=1e-6)
    np.testing.assert_allclose(geometry.b0_direction, truth["b0dir"], atol=1e-6)


@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_of_the_server_gives_the_series_of_the_scan(through, recorded, truth, name):
    answer = through("qsm", recorded(name))
    assert answer.refusals == []
    assert [m.name for m in answer.maps] == ["chi", "r2star", "magnitude", "magnitude", "magnitude"]
    chi = answer.map("chi")
    assert chi.data.shape == truth["chi"].shape
    assert chi.unit == "ppb"
    for volume in answer.maps:
        assert_lies_where_the_scan_was(volume.geometry, truth)
    inside = (chi.data != 0) & truth["brain"]
    nuclei = inside & np.isin(truth["labels"], DEEP_NUCLEI)
    # voxels of 8 mm mix the nuclei with what is beside them: the sign holds, the values do not
    assert correlation(chi.data[nuclei], truth["chi"][nuclei]) > 0.5
    assert 10 < chi.data[nuclei].mean() - chi.data[inside & ~nuclei].mean() < 60
    assert [m.echo_time_s for m in answer.maps[2:]] == list(truth["te"])


def maps_of(stream):
    """Every map of a stream, without a process."""
    incoming = BytesIO(stream)
    _, header_text, *messages = iter(lambda: read_message(incoming), Close())
    header, settings = Header.parse(header_text.text), Settings()
    maps = chain.susceptibility(chain.combine(messages, header, settings), settings)
    return {volume.name: volume.data for volume in maps}


@pytest.mark.parametrize("name", STREAMS)
def test_the_total_field_is_that_of_the_scan_in_sign_and_scale(recorded, truth, name):
    maps = maps_of(recorded(name))
    inside = binary_erosion(maps["mask"] > 0) & truth["brain"]
    field_ppb = maps["total_field"][inside]
    true_ppb = 1000 * truth["field"][inside]
    assert inside.sum() > 0.5 * truth["brain"].sum()
    assert correlation(field_ppb, true_ppb) > 0.97
    # the scan was shimmed, the truth is not: a field linear in space is free
    shim = np.stack([np.ones(inside.sum()), *np.nonzero(inside)])
    scale = np.linalg.lstsq(np.vstack([true_ppb, shim]).T, field_ppb, rcond=None)[0][0]
    assert scale == pytest.approx(1, abs=0.06)


def test_three_gadgets_give_what_one_gives(through, recorded):
    stream = recorded("server_recondata_full")
    start, end = stream[: _end_of_header(stream)], stream[-2:]
    echoes = through("combine", stream)
    assert [_kind_of(m) for m in echoes.messages] == [(COMPLEX, 0), (COMPLEX, 1), (COMPLEX, 2)]
    everything = through("susceptibility", start + echoes.raw + end)
    series = [int(m.head["image_series_index"]) for m in everything.messages]
    assert len(set(series)) == len(series)  # one index with maps of two kinds spoils them there
    cut = through("deliver", start + everything.raw + end)
    whole = through("qsm", stream)
    assert len(cut.maps) == len(whole.maps) == 5
    for ours, theirs in zip(cut.maps, whole.maps, strict=True):
        same = dataclasses.replace(ours, data=None, report=without_times(ours.report))
        assert same == dataclasses.replace(theirs, data=None, report=without_times(theirs.report))
        largest = np.abs(theirs.data).max()
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-5, atol=1e-6 * largest)
    assert set(cut.map("chi").report["timing_s"]) == set(whole.map("chi").report["timing_s"])


def test_each_map_is_a_series_of_its_own(through, recorded):
    answer = through("qsm", recorded("server_images_r2"))
    images = [m for m in answer.messages if isinstance(m, Image)]
    series = [int(image.head["image_series_index"]) for image in images]
    assert series == [1, 2, 3, 3, 3]
    assert [int(image.head["contrast"]) for image in images[2:]] == [0, 1, 2]


def configured(stream, properties):
    """The stream with another configuration."""
    text = f"<configuration>{properties}</configuration>".encode()
    old = 6 + int.from_bytes(stream[2:6], "little")
    return stream[:2] + len(text).to_bytes(4, "little") + text + stream[old:]


def test_properties_of_the_node_are_settings(through, recorded):
    chosen = '<property name="deliver.maps" value="mask,local_field"/>'
    answer = through("qsm", configured(recorded("server_images_r2"), chosen))
    assert [volume.name for volume in answer.maps] == ["local_field", "mask"]


def test_a_property_that_does_not_exist_is_told_with_the_nearest(gadget, recorded):
    process = gadget("qsm")
    wrong = '<property name="deliver.map" value="chi"/>'
    process.send(configured(recorded("server_images_r2"), wrong))
    (told,) = process.answer().refusals
    assert told == "unknown setting 'deliver.map'; did you mean 'deliver.maps'?"
    assert process.status(within_s=5) == 1


def without_times(report):
    return {name: section for name, section in report.items() if name != "timing_s"}


def _end_of_header(stream):
    """Where CONFIG and HEADER, each an id, a length and a text, end."""
    at = 0
    for _ in range(2):
        at += 6 + int.from_bytes(stream[at + 2 : at + 6], "little")
    return at


def _kind_of(image):
    return int(image.head["image_type"]), int(image.head["contrast"])
