"""Folders of NIfTI files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.stage.subject import (
    CHI_PPM,
    FIELD,
    HZ_PER_PPM,
    MASK,
    PARAMS,
    SLOPE,
    SPHERE,
    TE_S,
    save,
)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder with every file that a stage may ask for; not to be changed."""
    folder = tmp_path_factory.mktemp("subject")
    (folder / "params.json").write_text(json.dumps(PARAMS))
    total = FIELD + SLOPE
    times = np.reshape(TE_S, (-1, 1, 1, 1))
    phase = np.angle(np.exp(2j * np.pi * HZ_PER_PPM * times * total))
    decay = np.exp(-times * np.where(SPHERE, 60.0, 20.0))
    for name, data in {
        "mask": MASK,
        "totalfield": np.where(MASK, total, np.nan),
        "localfield": np.where(MASK, FIELD, np.nan),
        "phase": np.where(MASK, phase, np.nan),
        "magnitude": 900 * decay * MASK,
        "chimap": CHI_PPM * SPHERE,
        "r2prime": np.where(SPHERE, 137 * CHI_PPM, 0) + 0 * FIELD,
    }.items():
        save(folder, name, data)
    return folder


@pytest.fixture
def subject(whole, tmp_path):
    """A function that gives a folder with the named files alone, to be changed at will."""
    folder = tmp_path / "input"
    folder.mkdir()

    def of(*names):
        for name in ("params.json", *(f"{name}.nii.gz" for name in names)):
            (folder / name).write_bytes((whole / name).read_bytes())
        return folder

    return of
