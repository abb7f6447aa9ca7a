"""The folder that a measurement leaves of one visit, from which visits are compared later.

`measurement.json` says how the scan was made and measured, NIfTI files hold the maps:
chi.nii.gz (ppb), magnitude.nii.gz, mask.nii.gz; where known noise.nii.gz (ppb) and labels.nii.gz
with labels.json, {value: name with side}, as measure.labels takes them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.name_tables import read_names, write_names
from gadgetron_qsm.measure.scan import Scan
from gadgetron_qsm.nifti import read_volume, write_volume
from gadgetron_qsm.report.files import write_json

SCHEMA = {"name": "gadgetron-qsm measurement", "version": 1}
FOLDER = "measurement"  # in what a replay leaves
ABOUT, NAMES = "measurement.json", "labels.json"
MAPS = ("chi", "magnitude", "mask")
OPTIONAL = ("noise", "labels")
SAME_PLACE_MM = 0.01  # by which float32 affines of files move a voxel, and more
SECTIONS = ("scan", "methods", "reference")  # of measurement.json, which visits are compared by

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit as its folder has it; `about` is measurement.json, `labels` are on scan's grid."""

    folder: Path
    scan: Scan
    labels: LabelMap | None
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What people call the visit: its folder, or that of the replay which it is in."""
        folder = self.folder.resolve()
        return folder.parent.name if folder.name == FOLDER else folder.name

    @property
    def patient(self) -> str | None:
        """Pseudonym of the patient; None when it is not known."""
        return self.about.get("patient")

    @cached_property
    def acquired(self) -> datetime | None:
        """When the scan was made; None when it is not known.

        A time with a zone is told in UTC, one without is what its scanner's clock showed: visits
        are days apart.
        """
        text = self.about.get("acquired")
        if text is None:
            return None
        time = datetime.fromisoformat(text.removesuffix("Z"))
        return time if time.tzinfo is None else time.astimezone(timezone.utc).replace(tzinfo=None)


def write_visit(
    folder: Path, scan: Scan, labels: LabelMap | None, about: Mapping[str, Any]
) -> None:
    """Write the folder of a visit; other files in it stay.

    labels are on the grid of the scan. `about` becomes measurement.json, with the schema before
    it, which comes last and says that the folder is whole. Raises QsmError when a file cannot be
    written, ValueError for labels on another grid, TypeError for what has no form in JSON.
    """
    if labels is not None and labels.values.shape != scan.geometry.matrix:
        raise ValueError(f"labels are {labels.values.shape}, the scan {scan.geometry.matrix}")
    written = {"chi": scan.chi, "magnitude": scan.magnitude, "mask": scan.mask}
    if scan.noise is not None:
        written["noise"] = scan.noise
    if labels is not None:
        written["labels"] = labels.values.astype(np.int32)  # NIfTI's readers know no longer ones
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".visit-", dir=folder) as beside:
            for name, data in written.items():
                write_volume(_map(Path(beside), name), data, scan.geometry)
            for name in (ABOUT, NAMES):  # between two visits it is a folder of neither
                (folder / name).unlink(missing_ok=True)
            for name in (*MAPS, *OPTIONAL):
                _move(_map(Path(beside), name), _map(folder, name))
    except OSError as error:
        told = f"{error.strerror or error}; choose a folder with room and rights"
        raise QsmError(f"cannot write {folder}: {told}") from error
    if labels is not None:
        write_names(folder / NAMES, labels.structures)
    write_json(folder / ABOUT, {"schema": SCHEMA, **about})


def read_visit(folder: Path) -> Visit:
    """Read what `write_visit` wrote, into this folder or the `measurement` in it.

    Raises QsmError, one line, for a folder that is none of a visit, and for a file in it that is
    missing, damaged or on another grid.
    """
    if not folder.is_dir():
        raise QsmError(f"there is no folder {folder}; name the folder that a measurement wrote")
    if not (folder / ABOUT).is_file() and (folder / FOLDER / ABOUT).is_file():
        folder /= FOLDER
    if not (folder / ABOUT).is_file():
        raise QsmError(f"{folder} has no {ABOUT}; name the folder that a measurement wrote")
    about = _json(folder / ABOUT, _checked)
    chi, geometry = read_volume(_map(folder, "chi"))
    others = {
        name: _on(_map(folder, name), geometry)
        for name in (*MAPS[1:], *OPTIONAL)
        if name in MAPS or _map(folder, name).exists()
    }
    noise = others.get("noise")
    scan = Scan(
        chi=_real(chi),
        magnitude=_real(others["magnitude"]),
        mask=others["mask"] > 0,
        geometry=geometry,
        noise=None if noise is None else _real(noise),
    )
    labels = _labels(folder, others["labels"]) if "labels" in others else None
    visit = Visit(folder, scan, labels, about)
    try:
        _ = visit.acquired
    except (TypeError, ValueError, AttributeError) as error:
        raise QsmError(f"{folder / ABOUT}: 'acquired' is no date and time of ISO 8601") from error
    return visit


def _map(folder: Path, name: str) -> Path:
    return folder / f"{name}.nii.gz"


def _move(source: Path, target: Path) -> None:
    """Put a file in its place; without one, what was there before is of another visit."""
    if source.exists():
        source.replace(target)
    else:
        target.unlink(missing_ok=True)


def _json(path: Path, checked: Callable[[Any], Found]) -> Found:
    """Read JSON; what it must be, `checked` makes of it or says with KeyError or ValueError."""
    try:
        return checked(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise QsmError(f"there is no {path}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise QsmError(f"cannot read {path}: {error}") from error


def _checked(about: Any) -> dict[str, Any]:
    schema = about["schema"] if isinstance(about, dict) and "schema" in about else None
    if schema != SCHEMA:
        raise ValueError(f"its schema is {schema}, not {SCHEMA}; measure the scan again")
    for section in SECTIONS:
        if not isinstance(about.get(section), dict):
            raise ValueError(f"it has no section '{section}'")
    if not isinstance(about.get("patient"), (str, type(None))):
        raise ValueError("'patient' is no text")
    return about


def _labels(folder: Path, values: NDArray[Any]) -> LabelMap:
    whole = np.asarray(values).astype(np.int32)
    if not np.array_equal(whole, values):
        raise QsmError(f"{_map(folder, 'labels')} holds values that are not whole numbers")
    return LabelMap(whole, read_names(folder / NAMES))


def _on(path: Path, geometry: Geometry) -> NDArray[Any]:
    """Read a map that must be on the grid of chi."""
    values, own = read_volume(path)
    if own.matrix != geometry.matrix or not np.allclose(
        own.affine, geometry.affine, rtol=0, atol=SAME_PLACE_MM
    ):
        raise QsmError(f"{path} is on another grid than chi; measure the scan again")
    return values


def _real(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32, copy=False)
