"""What `check` finds usable, and what it refuses and why."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.check import check
from gadgetron_qsm.data import Map
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Scan, simulate, varied
from tests.written import write_series

CONFIGURATION = """<configuration><version>{version}</version><stream>{nodes}</stream>
</configuration>"""
EXTERNAL = """<external>{start}<configuration><property name="{name}" value="{value}"/>
</configuration></external>"""
EXECUTE = '<execute name="gadgetron_qsm.gadgets" target="{}" type="python"/>'
CONNECT = '<connect address="recon" port="18000"/>'


def external(start, name="preset", value="standard"):
    return EXTERNAL.format(start=start, name=name, value=value)


@pytest.fixture
def configured(tmp_path):
    """A function that checks a configuration with those nodes."""

    def run(*nodes, version="2"):
        path = tmp_path / "site.xml"
        path.write_text(CONFIGURATION.format(version=version, nodes="".join(nodes)))
        return list(check(path))

    return run


def test_a_configuration_is_read_for_its_targets_and_settings(configured):
    found = configured(
        external(EXECUTE.format("combine")),
        external(EXECUTE.format("susceptibility"), "inversion.iterations", "7"),
    )
    assert found[:2] == [("target", "combine"), ("target", "susceptibility")]
    assert found[2] == ("settings", "{'inversion': {'parameters': {'iterations': 7}}}")


def test_the_installation_says_where_it_computes(device):  # noqa: ARG001 - it puts one in place
    assert dict(check(None))["computes on"].endswith(" GB are free")


def test_the_installation_says_why_it_computes_on_the_cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert dict(check(None))["computes on"].startswith("the CPU; CuPy is not there: ")


def test_an_archive_that_does_not_answer_is_told_with_the_reason(configured):
    nobody = "pacs=ARCHIVE@127.0.0.1:1"
    found = dict(configured(external(CONNECT, "store.nodes", nobody)))
    assert found["archive"].startswith("pacs: nobody listens at 127.0.0.1:1; ")


def test_a_resident_process_is_named(configured):
    assert ("resident process", "recon:18000") in configured(external(CONNECT))


def test_gadgets_of_others_are_not_ours_to_check(configured):
    other = '<external><execute name="theirs" target="anything" type="python"/></external>'
    found = configured(other, external(EXECUTE.format("qsm")))
    assert [what for what, _ in found] == ["target", "settings"]


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([external(EXECUTE.format("qsm"), "inversion.iteration", "7")],
         "'inversion.iteration'; did you mean 'inversion.iterations'?"),
        ([external(EXECUTE.format("qsm"), "inversion.iterations", "many")], "inversion.iterations"),
        ([external(EXECUTE.format("qms"))], "target 'qms' is unknown; there are qsm, combine"),
        ([external(EXECUTE.format("qsm") + CONNECT)], "either <execute> or <connect>"),
        ([external("")], "either <execute> or <connect>"),
        (["<gadget/>"], "no external node"),
        ([external(EXECUTE.format("qsm").replace("qsm.gadgets", "qsm.gadget"))],
         "no external node connects or executes gadgetron_qsm.gadgets"),
        (["<gadget>"], "configuration"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_work_is_refused(configured, nodes, says):
    with pytest.raises(QsmError) as refusal:
        configured(*nodes)
    assert says in str(refusal.value)


@pytest.mark.parametrize("version", ["1", ""])
def test_the_old_syntax_is_refused(configured, version):
    with pytest.raises(QsmError, match="version 2"):
        configured(external(EXECUTE.format("qsm")), version=version)


def test_our_own_configurations_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, targets in (("qsm", 1), ("qsm_split", 3), ("qsm_connect", 0)):
        found = list(check(tmp_path.joinpath(name).relative_to(tmp_path)))
        assert [what for what, _ in found].count("target") == targets


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / "tiny.h5"
    scan = Scan((8, 8, 8), coils=2, echo_times_s=(0.005, 0.0125), fine_per_voxel=1, noise_lines=8)
    simulate(path, scan)
    return path


def test_a_raw_file_is_described(raw):
    found = dict(check(raw))
    assert found["echo times"] == "5, 12.5 ms"
    assert found["field"] == "3.000 T, 127.732436 MHz"
    assert found["voxel"] == "8 x 8 x 8 mm"
    assert found["B0"] == "[0.94  0.342 0.   ] in the image"  # tilted by 20 degrees
    with RawFile(raw) as file:
        z, y, x = Header.parse(file.header_text).recon_matrix
        assert found["matrix"].startswith(f"{z} x {y} x {x} ")
        assert found["readouts"] == f"{len(file)} of 2 coils x {2 * x} samples, k = 0 at {x}"
    assert found["header says"] == "every line once"


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        (["r4x3"], "4 x 3 accelerated, calibration embedded"),
        (["r2-separate"], "2 x 1 accelerated, calibration separate"),
        (["r2-uncalibrated"], "2 x 1 accelerated, calibration other"),
        (["partial-fourier-both"], "7 of 8 partitions, 9 of 12 lines"),
        (["slices", "averages", "repetitions"], "8 slices (2D), 2 averages, 3 repetitions"),
    ],
)
def test_what_the_header_announces_is_said(tmp_path, variants, says):
    scan = Scan((20, 20, 20), (8, 12, 8), coils=1, echo_times_s=(0.005,), fine_per_voxel=1)
    simulate(tmp_path / "raw.h5", varied(scan, variants))
    assert dict(check(tmp_path / "raw.h5"))["header says"] == says


def test_an_asymmetric_echo_shows_where_k_0_is(tmp_path):
    scan = Scan((20, 20, 20), (8, 8, 8), coils=1, echo_times_s=(0.005,), fine_per_voxel=1)
    simulate(tmp_path / "raw.h5", varied(scan, ["asymmetric"]))
    assert dict(check(tmp_path / "raw.h5"))["readouts"].endswith("x 12 samples, k = 0 at 4")


def test_a_raw_file_without_echo_times_is_refused(raw, tmp_path):
    path = tmp_path / "no_te.h5"
    with h5py.File(raw) as whole, h5py.File(path, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/data", group)
        text = whole["dataset/xml"][0].decode()
        group["xml"] = [text.replace("<TE>", "<TI>").replace("</TE>", "</TI>")]
    with pytest.raises(QsmError, match="no echo times"):
        list(check(path))


def test_a_raw_file_of_noise_alone_is_refused(raw, tmp_path):
    path = tmp_path / "noise.h5"
    with h5py.File(raw) as whole, h5py.File(path, "w") as part:
        group = part.create_group("dataset")
        whole.copy("dataset/xml", group)
        group["data"] = whole["dataset/data"][:8]
    with pytest.raises(QsmError, match="no readout of an image"):
        list(check(path))


@pytest.fixture
def series(raw, tmp_path):
    data = np.zeros((4, 5, 6), np.float32)
    data[1, 2, 3] = -250
    geometry = Geometry((4, 5, 6), (3, 2, 1.5), (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    with RawFile(raw) as file:
        header = Header.parse(file.header_text)
    return write_series(Map("chi", data, "ppb", geometry), header, tmp_path)[0].parent


def test_a_series_is_described(series):
    found = dict(check(series))
    assert found["matrix"] == "4 x 5 x 6 (slice, row, column)"
    assert found["voxel"] == "3 x 2 x 1.5 mm"
    assert found["values"].startswith("-250 to 0,")


def test_a_series_with_a_gap_is_refused(series):
    sorted(series.iterdir())[1].unlink()
    with pytest.raises(QsmError, match="missing"):
        list(check(series))


def test_without_a_subject_the_installation_is_described():
    found = dict(check(None))
    assert found["gadgetron-qsm"] == __version__
    assert found["numpy"] == np.__version__
    assert "qsm_split" in found["configurations"]
    assert found["inversion.iterations"].startswith("of tv ")
