"""What a scan lacks: what is refused, and with which words; what is left out of the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.assemble import Assembly
from gadgetron_qsm.mrd.images import image_to_map
from gadgetron_qsm.sections import InversionSettings
from tests.sphere_map import chi_ppm, contrast, error, first_echo, run
from tests.sphere_scan import CHI_PPM, scan


def test_what_a_stage_refuses_is_told_with_its_name():
    noise = [readout for readout in scan() if readout.head["flags"]]
    heard = (
        dataclasses.replace(readout, data=noise[i % len(noise)].data * (i % 7))
        for i, readout in enumerate(scan())
    )
    with pytest.raises(QsmError, match=r"^mask: no brain found"):
        run(messages=heard)


def test_a_single_echo_gives_the_map_of_the_sphere():
    single = chi_ppm(messages=first_echo(), echoes=1)
    assert contrast(single) == pytest.approx(CHI_PPM, rel=0.3)
    assert error(single) < 0.6


def test_a_single_echo_has_no_r2star_and_says_so(caplog):
    images = run({"deliver.maps": "chi,r2star,mask"}, messages=first_echo(), echoes=1)
    maps = {v.name: v for v in map(image_to_map, images)}
    assert list(maps) == ["chi", "mask"]
    report = maps["mask"].report
    (warning,) = report["warnings"]
    assert warning == "no r2star map: it needs at least two echoes, and the scan has one"
    assert warning in caplog.text
    assert "phase_residual_rad" not in report["quality"]
    assert report["provenance"]["coils"]["method"] == "VRC"


def test_a_combination_that_needs_more_echoes_is_refused_with_what_it_takes():
    with pytest.raises(QsmError, match=r"^coils: .*at least two echoes"):
        run({"coils.method": "mcpc3ds"}, messages=first_echo(), echoes=1)


def without(echo):
    """The scan with zeros in the place of one echo."""
    for readout in scan():
        zero = not readout.head["flags"] and readout.head["idx"]["contrast"] == echo
        yield dataclasses.replace(readout, data=0 * readout.data) if zero else readout


@pytest.mark.parametrize("echo", [0, 2])
def test_an_echo_of_zeros_is_refused_by_its_number(echo):
    with pytest.raises(QsmError, match=rf"^the image of echo {echo + 1} is 0 everywhere; .*its TE"):
        run(messages=without(echo))


@pytest.mark.parametrize(("value", "said"), [(0, "0 everywhere"), (np.nan, "not finite")])
def test_a_map_that_says_nothing_is_not_delivered(monkeypatch, value, said):
    def invert(local_field, *_, **__):
        return np.full_like(local_field, value)

    monkeypatch.setitem(InversionSettings.METHODS, "tv", invert)
    with pytest.raises(QsmError, match=f"^the susceptibility map is {said}: "):
        run({"inversion.method": "tv"})


def test_memory_that_runs_out_is_refused_in_words(monkeypatch):
    def fail(*_, **__):
        raise MemoryError("unable to allocate 9 TiB")

    monkeypatch.setitem(InversionSettings.METHODS, "tv", fail)
    with pytest.raises(QsmError, match=r"^not enough memory: unable to allocate 9 TiB; take "):
        run({"inversion.method": "tv"})


def test_memory_that_runs_out_before_there_are_images_is_refused_in_words(monkeypatch):
    def fail(*_):
        raise MemoryError("out of memory allocating 9 bytes")

    monkeypatch.setattr(Assembly, "images", fail)
    with pytest.raises(QsmError, match=r"^not enough memory: out of memory allocating 9 bytes; "):
        run()


def test_a_contrast_that_cannot_be_made_takes_no_map_along():
    images = run({"deliver.maps": "chi,chi_positive,r2star,mask"})
    maps = {v.name: v for v in map(image_to_map, images)}
    assert list(maps) == ["chi", "r2star", "mask"]
    (warning,) = maps["mask"].report["warnings"]
    assert warning.startswith("no chi_positive map: csf: no voxel within 30 mm")
