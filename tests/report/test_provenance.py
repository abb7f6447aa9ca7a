from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from gadgetron_qsm import __version__
from gadgetron_qsm.report.plain import plain
from gadgetron_qsm.report.provenance import provenance, software
from gadgetron_qsm.settings import Settings

KEYS = [
    "schema", "use", "software", "scanner", "scan", "methods", "settings", "unit", "reference",
    "warnings", "checklist",
]  # fmt: skip


@pytest.fixture
def made(private_header, report, maps):
    settings = Settings.from_properties({"deliver.dicom_folder": "/archive/Beeble"})
    return plain(provenance(private_header, settings, report, maps))


def test_nothing_of_patient_study_site_or_device_is_in_it(made, private_header, secrets):
    text = json.dumps(made)
    assert [secret for secret in secrets if secret in text] == []
    in_header = [secret for secret in secrets if secret in private_header.text]
    assert len(in_header) > 15  # the others are ways to write the same


def test_scanner_scan_and_methods_are(made):
    assert made["scanner"] == {
        "vendor": "SIEMENS",
        "model": "Prisma",
        "field_strength_t": 2.893549,
        "nominal_field_strength_t": 3.0,
        "imaging_frequency_hz": 123200000.0,
        "receiver_channels": 2,
        "coil_elements": ["HC1", "HC2"],
    }
    assert made["scan"]["measurement_uid"] == 271828
    assert made["scan"]["sequence"] == "gre"
    assert made["scan"]["geometry_zyx"] == {
        "matrix": [8, 20, 16],
        "voxel_size_mm": [4.0, 1.0, 2.0],
        "b0_direction": [1.0, 0.0, 0.0],
        "orientation": "pure axial",
    }
    assert made["methods"]["inversion"]["iterations"] == 30
    assert made["reference"]["sd_ppb"] == 25.1481
    assert made["warnings"] == ["no noise scan"]


def test_keys_keep_their_order_and_the_schema_its_version(made):
    assert list(made) == KEYS
    assert made["schema"] == {"name": "gadgetron-qsm provenance", "version": 1}


def test_every_item_of_the_checklist_is_told_known_or_not(made):
    items = made["checklist"]["items"]
    assert made["checklist"]["source"] == "doi:10.1002/mrm.30006"
    assert all(list(item) == ["section", "text", "level", "value", "when"] for item in items)
    assert {"text": "Pixel bandwidth", "value": None}.items() <= items[13].items()


def test_without_maps_there_is_no_geometry(private_header, report):
    assert provenance(private_header, Settings(), report)["scan"]["geometry_zyx"] is None


def test_cupy_is_told_where_it_was_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(__version__="13.4.0"))
    assert software()["cupy"] == "13.4.0"
    monkeypatch.delitem(sys.modules, "cupy")
    found = software()
    assert "cupy" not in found
    assert found["gadgetron-qsm"] == __version__
    assert {"python", "numpy", "scipy"} <= found.keys()
