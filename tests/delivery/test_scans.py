"""A scan's whole way to an archive: the commands as processes, and real archives."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pydicom
import pytest

from gadgetron_qsm.delivery import letters
from gadgetron_qsm.delivery.nodes import Node
from gadgetron_qsm.delivery.outbox import Outbox
from tests.delivery.clock import until
from tests.delivery.servers import Orthanc, StoreScp
from tests.end_to_end.peers import COMMAND
from tests.end_to_end.peers import Server as Process

SLICES = 22


def command(*arguments):
    """Run gadgetron-qsm."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def site(tmp_path):
    """Return a function that gives the settings of a site, as --set or as a configuration."""

    def settings(node, *, maps="chi", **changed):
        named = replace(node, name="archive")
        kept = {"store.nodes": str(named), "store.outbox": tmp_path / "outbox"}
        return {"deliver.maps": maps, **kept, **changed}

    return settings


def as_options(settings):
    return [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]


def as_file(settings, path):
    lines = [f'<property name="{key}" value="{value}"/>' for key, value in settings.items()]
    path.write_text(f"<configuration><version>2</version>{''.join(lines)}</configuration>")
    return path


def test_a_replayed_scan_arrives_as_the_files_that_are_kept(serve, site, raw_file, tmp_path):
    storescp, out = serve(StoreScp), tmp_path / "out"
    options = as_options(site(storescp.node, **{"deliver.measurements": "true"}))
    done = command("replay", raw_file, "-o", out, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "sent to: archive"
    files = {f.SOPInstanceUID: f for f in map(pydicom.dcmread, out.glob("dicom/*/*.dcm"))}
    assert len(files) == SLICES + 2  # Segmentation and report
    assert sorted(files) == storescp.instances()
    for path in storescp.received.iterdir():
        arrived = pydicom.dcmread(path)
        assert arrived == files[arrived.SOPInstanceUID]


def test_an_orthanc_stores_the_segmentation_and_the_report_of_regions(
    serve, site, raw_file, tmp_path
):
    first = ["--set", "measure.sources=true", "--set", "measure.noise_samples=0"]
    assert command("replay", raw_file, "-o", tmp_path / "out", *first).returncode == 0
    labels = (tmp_path / "out" / "measurement" / "mask.nii.gz").rename(tmp_path / "labels.nii.gz")
    (tmp_path / "labels.json").write_text('{"1": "thalamus"}')
    orthanc = serve(Orthanc)
    asked = {"deliver.measurements": "true", "measure.labels": labels}
    options = [*first, *as_options(site(orthanc.node, **asked))]
    done = command("replay", raw_file, "-o", tmp_path / "out", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert orthanc.count() == SLICES + 2
    series = [orthanc.get(f"series/{key}")["MainDicomTags"] for key in orthanc.get("series")]
    assert sorted(made["Modality"] for made in series) == ["MR", "SEG", "SR"]
    (path,) = (tmp_path / "out").glob("dicom/*_regions/*.dcm")
    segments = pydicom.dcmread(path).SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == ["whole brain", "thalamus"]


def test_a_scan_waits_for_an_archive_that_is_down_and_is_sent_by_retry(
    serve, site, raw_file, tmp_path
):
    storescp = serve(StoreScp)
    storescp.kill()
    done = command("replay", raw_file, "-o", tmp_path / "out", *as_options(site(storescp.node)))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("gadgetron-qsm: the maps are in ")
    assert f"{SLICES} objects wait for 'archive'" in done.stderr
    storescp.start()
    assert command("outbox", "retry", "--outbox", tmp_path / "outbox").returncode == 0
    assert len(storescp.instances()) == SLICES


def test_a_server_delivers_by_its_own_settings(serve, site, authority, raw_file, tmp_path):
    orthanc = serve(Orthanc, certificate=authority.issue("archive"))
    own = site(orthanc.node, maps="chi,magnitude", **{"store.ca_file": authority.file})
    configuration = as_file(own, tmp_path / "site.xml")
    server = Process("serve", tmp_path, "--config", str(configuration))
    there = ["--server", f"127.0.0.1:{server.port}"]
    try:
        done = command(
            "replay", raw_file, "-o", tmp_path / "out", *there, "--set", "deliver.maps=chi"
        )
        assert (done.returncode, done.stderr) == (0, "")
        until(lambda: orthanc.count() == SLICES, 20)  # chi, and not what the report shows besides
    finally:
        server.end()
    shown = (tmp_path / "out" / "report.html").read_text()
    assert all(name in shown for name in ("Total field", "Magnitude"))
    with Outbox(tmp_path / "outbox") as outbox:
        assert letters.confirmed(outbox) == {"archive": SLICES}
        assert letters.lines(outbox) == []


def test_a_replay_whose_outbox_cannot_be_used_does_not_begin(site, raw_file, tmp_path):
    (tmp_path / "outbox").touch()
    nobody = Node.parse("archive=PACS@127.0.0.1:1")
    done = command("replay", raw_file, "-o", tmp_path / "out", *as_options(site(nobody)))
    assert done.returncode == 1
    assert re.fullmatch(r"gadgetron-qsm: the outbox .* cannot be used: .*\n", done.stderr)
    assert not (tmp_path / "out").exists()


def test_a_client_gets_dicom_messages_where_its_configuration_says_so(raw_file, tmp_path):
    settings = {"deliver.maps": "chi", "deliver.console": "dicom"}
    configuration = as_file(settings, tmp_path / "dicom.xml")
    server = Process("serve", tmp_path)
    there = ["--server", f"127.0.0.1:{server.port}", "--config", configuration]
    try:
        done = command("replay", raw_file, "-o", tmp_path / "out", *there)
    finally:
        server.end()
    assert (done.returncode, done.stderr) == (0, "")
    files = list((tmp_path / "out").glob("dicom/*_QSM_chi/*.dcm"))
    assert len(files) == SLICES
    assert all(pydicom.dcmread(file).Modality == "MR" for file in files)
