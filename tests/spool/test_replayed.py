"""A scan whose raw data were spooled is replayed from them, and nobody sees a difference."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from gadgetron_qsm import chain
from gadgetron_qsm.check import check
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.replay import replay
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site_sections import SpoolSettings
from gadgetron_qsm.spool.spool import Spool
from tests.sphere_scan import header_text, scan

QUICK = {"inversion.iterations": "2", "deliver.maps": "chi"}
FAILURE = RuntimeError("so that the raw data are kept")


@pytest.fixture(scope="module")
def settings():
    return Settings.from_properties(QUICK)


@pytest.fixture(scope="module")
def messages(settings):
    """The scan as readouts, and as images of somebody else's reconstruction."""
    readouts = list(scan())
    header = Header.parse(header_text())
    return {"readouts": readouts, "images": list(chain.combined_images(readouts, header, settings))}


@pytest.mark.parametrize(
    ("form", "described"),
    [
        ("readouts", "4300 of 2 coils x 88 samples, k = 0 at 44"),
        ("images", "3, of 1 repetitions of 3 echoes of 1 channels"),
    ],
)
def test_the_map_of_a_replay_is_that_of_the_live_scan(
    tmp_path, messages, settings, form, described
):
    opened = Spool.opened(SpoolSettings(folder=tmp_path), header_text())
    passed = opened.tee(messages[form])
    (live,) = chain.qsm(passed, Header.parse(header_text()), settings)
    raw = opened.finish(FAILURE)
    told = {finding.what: finding.text for finding in check(raw)}
    assert told[form] == described
    replay(raw, tmp_path / "replayed", overrides=QUICK)
    with h5py.File(tmp_path / "replayed" / "images.h5") as file:
        series = file[f"dataset/image_{live.head['image_series_index']}/data"]
        np.testing.assert_allclose(series[0], live.data, atol=1e-3)  # ppb
    assert np.ptp(live.data) > 100
