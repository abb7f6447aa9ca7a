"""All settings of a node that are wrong, each by its name."""

from __future__ import annotations

import pytest

from gadgetron_qsm.check.properties import problems


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"preset": "slow", "coils.smoothing_mm": "0"}, {}),
        ({"inversion.method": "magic"}, {"inversion.iterations": "5", "inversion.correct": "x"}),
        ({"inversion.iterations": "0", "inversion.method": "tgv2"}, {}),
        ({"inversion.curvature": "-1"}, {"inversion.method": "tgv"}),
        ({"background.peel": "1"}, {"background.method": "vsharp"}),
        ({"identity.deidentify": "true", "store.nodes": "PACS"}, {"identity.study_id": "1"}),
        ({"store.nodes": "PACS"}, {"store.timeout_s": "3", "identity.study_id": "1"}),
        ({"store.nodes": "PACS"}, {"identity.deidentify": "true", "identity.key_file": "there"}),
        ({"store.nodes": "a=A@b:1,a=B@b:1"}, {"store.calling_title": "ME"}),
        ({"deliver.segmentation": "true"}, {"deliver.maps": "chi"}),
        ({"nothing": "1", "inversion.nothing": "1"}, {"kspace.incomplete": "warn"}),
    ],
)
def test_every_wrong_setting_is_named_and_no_right_one(wrong, right):
    for given in ({**right, **wrong}, {**wrong, **right}):
        named = {key for key, _ in problems(given)}
        assert named <= set(wrong)
        if "inversion.method" not in wrong:  # its parameters are looked at when it is right
            assert named == set(wrong)


def test_settings_that_are_right_have_no_problems():
    assert list(problems({"preset": "fast", "inversion.iterations": "7"})) == []
