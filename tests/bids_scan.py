"""Scans with much that must not be told, and their maps, made without a chain."""

from __future__ import annotations

import json

import nibabel
import numpy as np

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import MAPS
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings
from tests.report.conftest import PARAMETERS, PRIVATE, REPORT, USER
from tests.sphere_scan import header_text, turned

SHAPE = (5, 7, 6)
GEOMETRY = Geometry(SHAPE, (2.5, 1.0, 2.0), (13.7, -22.1, 31.9), *map(tuple, turned(40, -15)))
OF_ECHOES = ("magnitude", "phase")
SOURCE = "5ca1ab1e"
EARLY = {**REPORT, "warnings": []}  # of the first map, before all was done
EVERY = ("chi", "r2star", "t2star", "total_field", "local_field", "mask", "magnitude", "phase",
         "g_factor", "chi_positive", "chi_negative", "swi", "swi_mip", "tswi", "smwi", "csf",
         "noise")  # fmt: skip


def private(text):
    """Add all that a scanner may tell of a patient to a header."""
    text = text.replace("<experimentalConditions>", f"{PRIVATE}<experimentalConditions>")
    text = text.replace("<sequenceParameters>", f"<sequenceParameters>{PARAMETERS}")
    return text.replace("</ismrmrdHeader>", f"{USER}</ismrmrdHeader>")


def header_of(**of):
    return Header.parse(private(header_text(**of)))


def values(name, number):
    """Return the values of a map (z, y, x), which no other map has; 0 outside of the mask."""
    rng = np.random.default_rng(number)
    data = rng.normal(0, 100, SHAPE).astype(np.float32)
    inside = np.zeros(SHAPE, bool)
    inside[1:4, 2:6, 1:5] = True
    if name in ("mask", "csf"):
        return inside.astype(np.float32)
    return data if name in (*OF_ECHOES, "total_field") else np.where(inside, data, 0)


def maps_of(header, names=EVERY):
    """Return maps in the order of the chain."""
    made = []
    for repetition in range(header.repetitions):
        for number, name in enumerate(names):
            if len(header.echo_times_s) == 1 and name in ("r2star", "t2star"):
                continue
            echoes = enumerate(header.echo_times_s) if name in OF_ECHOES else [(None, None)]
            for echo, te in echoes:
                data = values(name, 100 * repetition + 10 * number + (echo or 0))
                unit = MAPS[name].unit
                report = EARLY if name == "chi" else REPORT
                made.append(Map(name, data, unit, GEOMETRY, echo, te, report, repetition))
    return made


def settings_of(maps="chi"):
    return Settings.from_properties({"deliver.maps": maps})


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nii.gz"))


def sidecar(path):
    return json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_bytes())


def assert_same_places(ours, theirs, atol):
    """Compare ours, in ppm, with an image in ppb that may count its voxels in another order."""
    ours, theirs = nibabel.as_closest_canonical(ours), nibabel.as_closest_canonical(theirs)
    assert ours.shape == theirs.shape
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(ours.shape) - 1)
    found, expected = (nibabel.affines.apply_affine(i.affine, corners) for i in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)
    np.testing.assert_allclose(ours.get_fdata(), theirs.get_fdata() / 1000, rtol=0, atol=atol)
