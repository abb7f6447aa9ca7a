"""The maps beside chi: what each must be, and that one which fails takes no other along."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from gadgetron_qsm import contrasts
from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.contrasts import MAKERS, Contrasts
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.field.echo_fit import EchoFit
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.outgoing_sections import MapName
from gadgetron_qsm.sections import R2starSettings, SeparationSettings, SwiSettings
from gadgetron_qsm.susceptibility import quantify
from tests.nuclei import BRAIN, CSF, CSF_HZ, IRON, IRON_HZ, TISSUE_HZ, volume


def made(scan, *names):
    return dict(Contrasts(scan, quantify(scan)).made(names))


@pytest.fixture(scope="module")
def scan():
    return volume()


@pytest.fixture(scope="module")
def found(scan):
    return quantify(scan)


@pytest.fixture(scope="module")
def maps(scan, found):
    return dict(Contrasts(scan, found).made(MAKERS))


def test_every_contrast_is_made_by_the_name_that_the_settings_have(maps):
    assert list(maps) == list(MAKERS)
    assert set(MAKERS) <= set(MapName.__args__)
    assert all(np.isfinite(data).all() for data in maps.values())


def test_only_what_is_wanted_is_made(scan, found, monkeypatch):
    monkeypatch.setitem(SeparationSettings.METHODS, "r2star_qsm", None)
    assert list(dict(Contrasts(scan, found).made(("swi", "chi")))) == ["swi"]


@pytest.mark.parametrize(("region", "rate"), [(IRON, IRON_HZ), (CSF, CSF_HZ)])
def test_r2star_is_that_of_the_tissue(maps, region, rate):
    assert np.median(maps["r2star"][region]) == pytest.approx(rate, rel=0.03, abs=0.3)
    assert not maps["r2star"][~BRAIN].mean() > 0.05 * TISSUE_HZ


def test_t2star_is_the_inverse_in_ms(maps):
    assert np.median(maps["t2star"][IRON]) == pytest.approx(1000 / IRON_HZ, rel=0.03)


def test_the_projection_is_nowhere_brighter_than_the_swi(maps, found):
    assert (maps["swi_mip"] <= maps["swi"])[found.brain].all()
    assert (maps["swi_mip"] < maps["swi"])[found.brain].mean() > 0.7


@pytest.mark.parametrize("name", ["tswi", "smwi"])
def test_weighting_by_chi_darkens_what_is_paramagnetic_alone(maps, scan, found, name):
    positive = found.chi > 0
    darkened = maps[name] / np.maximum(scan.edges, 1e-9)
    np.testing.assert_allclose(darkened[~positive & BRAIN], 1, rtol=1e-5)
    assert darkened[positive].max() < 1
    assert darkened[IRON].mean() < 0.85


def test_the_parts_add_up_to_chi_relative_to_csf(maps, scan, found):
    positive, negative = maps["chi_positive"], maps["chi_negative"]
    assert positive.min() >= 0 >= negative.max()
    to_csf = found.chi - found.chi[scan.csf(found.mask)].mean()
    both = (positive + negative)[found.mask] / 1000
    np.testing.assert_allclose(both, to_csf[found.mask], atol=1e-5)
    assert positive[IRON].mean() > 5 * positive[CSF].mean()


def test_a_separation_without_csf_is_left_out_with_its_reason():
    scan = volume(csf=False)
    assert list(made(scan, "r2star", "chi_positive", "smwi")) == ["r2star", "smwi"]
    (warning,) = scan.journal.warnings
    assert warning.startswith("no chi_positive map: csf: no voxel within")


def test_a_separation_that_needs_no_csf_is_made_without():
    scan = volume({"separation.method": "chi_separation"}, csf=False)
    assert list(made(scan, "chi_positive")) == ["chi_positive"]
    assert "csf" not in scan.journal.provenance


def test_what_a_separation_does_not_ask_for_is_not_made(scan, found, monkeypatch):
    monkeypatch.delattr(contrasts, "field_weight")
    assert list(dict(Contrasts(scan, found).made(("chi_positive",)))) == ["chi_positive"]


def test_a_method_that_needs_more_echoes_takes_no_other_map_along():
    scan = volume({"r2star.method": "arlo"}, count=2)
    assert list(made(scan, "r2star", "swi")) == ["swi"]
    (warning,) = scan.journal.warnings
    assert warning.startswith("no r2star map: r2star: ARLO needs at least three echoes")


def test_a_map_that_memory_does_not_hold_is_left_out_with_a_warning(monkeypatch):
    def fail(*_):
        raise MemoryError("unable to allocate 9 TiB")

    monkeypatch.setitem(R2starSettings.METHODS, "weighted_log", fail)
    scan = volume()
    assert list(made(scan, "r2star", "swi")) == ["swi"]
    assert scan.journal.warnings == ["no r2star map: not enough memory: unable to allocate 9 TiB"]


def test_a_fault_in_one_map_is_logged_and_takes_no_other_along(monkeypatch, caplog):
    monkeypatch.setitem(SwiSettings.METHODS, "swi", lambda *_: 1 / 0)
    scan = volume()
    assert list(made(scan, "swi", "smwi")) == ["smwi"]
    assert scan.journal.warnings == ["no swi map: ZeroDivisionError: division by zero"]
    assert "Traceback" in caplog.text


@pytest.mark.usefixtures("maps")
def test_what_was_done_is_told_with_its_parameters(scan):
    told = scan.journal.provenance
    assert told["swi"] == {"method": "swi", **scan.settings.swi.complete()}
    assert told["separation"]["relaxivity_positive"] > 0
    assert told["r2star"]["method"] == "weighted_log"


def brought(carrier, device):
    """A dataclass with its arrays, and those of the dataclasses in it, on a device."""
    values = {part.name: getattr(carrier, part.name) for part in fields(carrier)}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            values[name] = device(value)
        elif isinstance(value, Echoes | EchoFit):
            values[name] = brought(value, device)
    return replace(carrier, **values)


def test_every_contrast_agrees_on_a_device(scan, maps, found, device):
    there = replace(brought(scan, device), journal=Journal())
    made_there = dict(Contrasts(there, brought(found, device)).made(MAKERS))
    assert there.journal.warnings == []
    for name, expected in maps.items():
        tolerance = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(
            to_numpy(made_there[name]), expected, atol=tolerance, err_msg=name
        )
