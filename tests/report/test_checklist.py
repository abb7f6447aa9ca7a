from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.dicom.forms import FORMS
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.checklist import checklist
from gadgetron_qsm.report.sequence import echo_times, orientation
from tests.sphere_scan import header_text, turned

X, Y, Z = np.eye(3)


def values(header, report, geometry=None):
    return {item.text: item.value for item in checklist(header, report, geometry)}


def placed(read, phase, through):
    return Geometry((8, 20, 16), (4.0, 1.0, 2.0), (0, 0, 0), *map(tuple, (read, phase, through)))


def test_what_the_header_tells_is_filled_in(private_header, report, make_map):
    found = values(private_header, report, make_map("chi").geometry)
    assert found["Field strength"] == "2.894 T by the imaging frequency, 3 T by name"
    assert found["Vendor"] == "SIEMENS"
    assert found["Model"] == "Prisma"
    assert found["Receive coil and channels"] == "2 channels, elements HC1 to HC2"
    assert found["Type: 2D or 3D, GRE or EPI"] == "3D GRE (Flash)"
    assert found["Commercial name"] == "gre"
    assert found["Number of echoes, TE1:dTE:TEmax"] == "3 echoes, 5:5:15 ms"
    assert found["TR"] == "32 ms"
    assert found["Flip angle"] == "12 degrees"
    assert found["Orientation"] == "pure axial"
    assert found["Field of view and acquisition matrix"] == (
        "88 x 84 x 85 mm, 44 x 42 x 34 (read, phase, slice)"
    )
    assert found["Voxel size"] == "2 x 1 x 4 mm (read, phase, slice)"
    assert found["Centre frequency, mean and SD over scans"] == "123.200000 MHz in this scan"


def test_what_was_done_is_filled_in(private_header, report):
    found = values(private_header, report)
    assert found["Toolbox and version"] == f"gadgetron-qsm {__version__}"
    assert found["Reconstruction of phase images"] == (
        "centred FFT (noise_whitened = yes, coil_compression = none)"
    )
    assert found["Dipole inversion"] == "ss_tv (regularisation = 1.5e-05, iterations = 30)"
    assert found["Background field removal"].startswith("in one step with the inversion")
    assert found["Unit of susceptibility"] == "ppb"
    assert found["Reference region"] == "whole brain"
    spread = "Mean and SD of the reference region relative to the whole brain"
    assert found[spread] == "mean 0.0 ppb, SD 25.1 ppb"
    for_viewers = found["Processing for PACS and viewers"]
    assert "rounded to whole ppb" in for_viewers
    assert "-200 to 200 ppb" in for_viewers


@pytest.mark.parametrize("form", FORMS)
def test_how_values_are_stored_follows_the_form(private_header, report, form):
    items = checklist(private_header, report, form=form)
    (told,) = [item.value for item in items if item.text == "Processing for PACS and viewers"]
    words = {"rescaled": "rounded to 12 bits", "parametric": "not rounded"}
    assert words.get(form, "of 16 bits") in told


def test_a_header_that_tells_nothing_leaves_it_to_the_reader():
    items = checklist(Header.parse(header_text()), {})
    unknown = [item.text for item in items if item.value is None]
    assert set(unknown) > {"Vendor", "Model", "TR", "Voxel size", "Dipole inversion", "Orientation"}
    known = {item.text: item.value for item in items if item.value is not None}
    assert known["Field strength"] == "2.894 T by the imaging frequency"
    assert known["Trajectory of k-space"] == "Cartesian"


def test_levels_are_those_of_the_consensus(private_header, report):
    levels = {item.text: (item.level, item.when) for item in checklist(private_header, report)}
    assert levels["Field strength"] == ("essential", "")
    assert levels["Voxel size"] == ("essential", "")
    assert levels["Partial Fourier, best avoided"] == ("essential", "if used")
    assert levels["Reference region"] == ("mandatory", "")
    assert levels["Flow compensation: echoes and directions"] == ("recommended", "")


@pytest.mark.parametrize(
    ("directions", "expected"),
    [
        ((X, Y, Z), "pure axial"),
        ((Y, -Z, X), "pure sagittal"),
        ((X, -Z, -Y), "pure coronal"),
        (turned(0.05, 0), "pure axial"),
        (turned(20, 0), "oblique, 20.0 degrees from axial"),
        (turned(0, -20), "oblique, 20.0 degrees from axial"),
        (turned(20, 10), "double oblique, 22.3 degrees from axial"),
        (turned(70, 0), "oblique, 20.0 degrees from coronal"),
    ],
)
def test_the_orientation_is_named_with_its_angle(directions, expected):
    assert orientation(placed(*directions)) == expected


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        ((0.02,), "1 echo, TE 20 ms"),
        ((0.0045, 0.0098, 0.0151), "3 echoes, 4.5:5.3:15.1 ms"),
        ((0.00492, 0.00984, 0.01477), "3 echoes, 4.92:4.925:14.77 ms"),
        ((0.004, 0.009, 0.020), "3 echoes, TE 4, 9, 20 ms (not evenly spaced)"),
    ],
)
def test_echo_times_are_first_spacing_and_last(times_s, expected):
    assert echo_times(times_s) == expected
