"""A scan of several repetitions: each is maps, series and report of its own."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import h5py
import numpy as np
import pydicom
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.replay import replay
from gadgetron_qsm.settings import Settings
from tests.sphere_scan import CHI_PPM, MATRIX, TE_S, header_text, scan, write_raw

SCALES = 1, 3
QUICK = {"inversion.iterations": "2", "deliver.maps": "chi,magnitude"}
HEADER = Header.parse(header_text(repetitions=2))
LAST_LINES = 30


def readouts():
    """Two repetitions, the second without noise of its own, and brighter."""
    yield from scan()
    for readout in scan(repetition=1):
        if not readout.head["flags"]:
            yield type(readout)(readout.head, SCALES[1] * readout.data)


def run(messages, target=chain.qsm, **properties):
    settings = Settings.from_properties(QUICK | properties)
    return target(messages, HEADER, settings)


@pytest.fixture(scope="module")
def images():
    return list(run(readouts()))


@pytest.fixture(scope="module")
def maps(images):
    return [image_to_map(image) for image in images]


def test_each_map_of_each_repetition_is_a_series_of_its_own(images, maps):
    names = ["chi", "magnitude", "magnitude", "magnitude"]
    assert [(m.name, m.repetition) for m in maps] == [(n, r) for r in (0, 1) for n in names]
    assert [int(i.head["image_series_index"]) for i in images] == [1, 2, 2, 2, 3, 4, 4, 4]
    assert [int(i.head["repetition"]) for i in images] == [0] * 4 + [1] * 4
    for number, image in ((1, images[0]), (2, images[4])):
        assert f"<name>SeriesDescription</name><value>QSM chi rep{number}</value>" in image.meta


def test_repetitions_that_differ_in_scale_alone_give_the_same_chi(maps):
    first, second = maps[0].data, maps[4].data
    both = (first != 0) & (second != 0)  # a voxel at a threshold of the mask may fall either way
    assert np.count_nonzero((first != 0) != (second != 0)) < 0.005 * np.count_nonzero(both)
    np.testing.assert_allclose(second[both], first[both], atol=0.02 * 1000 * CHI_PPM)


def test_a_repetition_is_delivered_while_the_next_still_comes():
    messages = iter(list(readouts()))
    next(run(messages))
    assert len(list(messages)) >= MATRIX[0] * MATRIX[1] * len(TE_S) - 1


def test_what_came_before_a_repetition_that_fails_is_delivered():
    delivery = run(list(readouts())[:-LAST_LINES])
    delivered = [image_to_map(next(delivery)) for _ in range(4)]
    assert {volume.repetition for volume in delivered} == {0}
    with pytest.raises(QsmError, match="30 of 4284 lines are missing"):
        next(delivery)


def test_each_repetition_is_timed_without_what_was_done_to_the_one_before(monkeypatch):
    clock = SimpleNamespace(now=0)
    monkeypatch.setattr(chain, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def a_second_each():
        for readout in readouts():
            clock.now += 1
            yield readout

    ingest = []
    for image in run(a_second_each(), **{"deliver.maps": "chi"}):
        clock.now += 10_000
        ingest.append(image_to_map(image).report["timing_s"]["ingest"])
    first, second = ingest
    assert first + second == len(list(readouts()))
    assert second < first  # it has no noise


def test_cut_in_two_the_chain_keeps_the_repetitions_apart(maps):
    echoes = list(run(readouts(), chain.combined_images))
    cut = [image_to_map(image) for image in run(echoes[::-1])]
    assert [(m.name, m.repetition) for m in cut] == [(m.name, m.repetition) for m in maps]
    np.testing.assert_allclose(cut[4].data, maps[4].data, atol=1e-3)


def test_a_stage_that_fails_in_a_later_repetition_names_it():
    dark = (type(r)(r.head, 0 * r.data) if r.head["idx"]["repetition"] else r for r in readouts())
    with pytest.raises(QsmError, match=r"^repetition 2: "):
        list(run(dark))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    write_raw(folder / "scan.h5", list(readouts()), HEADER.text)
    replay(folder / "scan.h5", folder / "out", overrides=QUICK)
    return folder / "out"


def test_replay_keeps_the_chosen_maps_of_every_repetition_and_those_of_the_report(output):
    with h5py.File(output / "images.h5") as file:
        metas = [
            series["attributes"][0].decode()
            for series in file["dataset"].values()
            if "data" in series
        ]
    names = [re.search(r'gadgetron_qsm_map</name><value>"(\w+)"', meta)[1] for meta in metas]
    kept = {"chi", "magnitude", "total_field", "local_field", "mask"}  # QUICK leaves R2* out
    assert sorted(names) == sorted(2 * list(kept))


def test_replay_writes_every_repetition_and_reports_each(output):
    report = json.loads((output / "report.json").read_text())
    told = [(s["name"], s["repetition"], s["description"], s["images"]) for s in report["series"]]
    assert told == [
        ("chi", 1, "QSM chi rep1", MATRIX[0]),
        ("magnitude", 1, "Magnitude rep1", 3 * MATRIX[0]),
        ("chi", 2, "QSM chi rep2", MATRIX[0]),
        ("magnitude", 2, "Magnitude rep2", 3 * MATRIX[0]),
    ]
    folders = [output / series["folder"] for series in report["series"]]
    assert [len(list(folder.iterdir())) for folder in folders] == [told[3] for told in told]
    firsts = [pydicom.dcmread(folder / "0001.dcm") for folder in folders]
    assert len({dataset.SeriesInstanceUID for dataset in firsts}) == 4
    assert len({dataset.StudyInstanceUID for dataset in firsts}) == 1
    (later,) = report["later_repetitions"]
    assert later["repetition"] == 2
    assert later["timing_s"].keys() < report["timing_s"].keys()


def test_replay_keeps_what_came_before_a_repetition_that_fails(tmp_path):
    write_raw(tmp_path / "scan.h5", list(readouts())[:-LAST_LINES], HEADER.text)
    with pytest.raises(QsmError, match=r"lines are missing.*the maps before that are in .*out"):
        replay(tmp_path / "scan.h5", tmp_path / "out", overrides=QUICK)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [series["description"] for series in report["series"]] == [
        "QSM chi rep1",
        "Magnitude rep1",
    ]
    assert "the chain failed before all maps were made: " in report["warnings"][-1]
    assert len(list((tmp_path / "out" / "dicom").glob("*_QSM_chi_rep1/*.dcm"))) == MATRIX[0]
