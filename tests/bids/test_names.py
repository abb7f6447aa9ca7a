"""A scan is called what its name says, whatever other scans there are."""

from __future__ import annotations

import pytest

from gadgetron_qsm.bids.names import Entities, entities, labels, require_distinct
from gadgetron_qsm.errors import UsageError

NAMES = {
    "sub-01": Entities("01"),
    "sub-01/ses-2/scan": Entities("01", "2"),
    "sub-A7_ses-pre_acq-hires_run-02_MEGRE.h5": Entities("A7", "pre", "hires", "02"),
    "sub-01/ses-2/sub-01_ses-2_run-1": Entities("01", "2", None, "1"),
    "P-017 (gre).v2": Entities("P017grev2"),
    "site_1/scan_3.mrd": Entities("site1scan3"),
    "Müller": Entities("Mller"),
    "visit_ses-2": Entities("visit", "2"),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_scan_is_called_what_its_name_says(name, expected):
    assert entities(name) == expected
    assert labels(name) == (expected.subject, expected.session)


def test_files_are_named_in_the_order_of_bids():
    called = Entities("01", "pre", "hires", "02")
    assert called.stem == "sub-01_ses-pre_acq-hires_run-02"
    assert str(called.folder) == "sub-01/ses-pre"
    assert (Entities("01").stem, str(Entities("01").folder)) == ("sub-01", "sub-01")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sub-01-a", "'sub-01-a' in 'sub-01-a': BIDS takes letters and digits alone behind sub-"),
        ("sub-ä", "letters and digits alone"),
        ("sub-01_run-a", "'run-a' in 'sub-01_run-a': BIDS takes a number behind run-"),
        ("sub-", "letters and digits alone behind sub-"),
        ("sub-01/sub-02_scan", "'sub-01/sub-02_scan' is both sub-01 and sub-02; rename it"),
        ("---", "'---' has no letter or digit for a subject; rename it sub-<label>"),
        ("ses-1", "no letter or digit for a subject"),
    ],
)
def test_a_name_that_bids_does_not_take_is_refused(name, reason):
    with pytest.raises(UsageError) as refused:
        entities(name)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "pair",
    [
        ("sub-01_a", "sub-01_b"),
        ("scan 1", "scan_1"),
        ("sub-a", "sub-A"),
        ("sub-01_run-1", "sub-01_run-01"),
    ],
)
def test_two_scans_of_one_name_are_refused_by_their_names(pair):
    with pytest.raises(UsageError) as refused:
        require_distinct(["other", *pair])
    assert str(refused.value).startswith(f"'{pair[0]}' and '{pair[1]}' are both sub-")
    assert "rename them sub-<label>[_ses-<label>]" in str(refused.value)


def test_scans_that_differ_in_any_entity_are_distinct():
    require_distinct(["sub-01", "sub-01_ses-1", "sub-01_acq-a", "sub-01_run-1", "sub-01_run-2"])
