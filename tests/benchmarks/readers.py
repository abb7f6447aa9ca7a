"""What readers of DICOM show of voxels whose values are known, in each form of object.

`python -m tests.benchmarks.readers` prints a table a form. SimpleITK, no dependency, has a row
when Python finds it, for instance in a folder of PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from _pytest.outcomes import Skipped
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.forms import FORMS
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header
from tests.delivery.servers import HOST, Orthanc
from tests.dicom.readers import READERS, AbsentError, Reader, places_of
from tests.sphere_scan import header_text
from tests.written import write_series

GEOMETRY = Geometry(
    (4, 5, 6), (2.5, 1.25, 1.5), (13.7, -22.0, 31.0), (1, 0, 0), (0, 1, 0), (0, 0, 1)
)
KNOWN: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("chi", "ppb"): (-123.0, 45.0, 0.0, 1000.0),
    ("r2star", "1/s"): (37.0,),
    ("total_field", "Hz"): (-12.3,),
}
VOXELS = ((1, 2, 3), (2, 1, 4), (0, 0, 0), (3, 4, 5))  # (z, y, x), one for each known value


def known_map(name: str, unit: str) -> Map:
    """A map that is 7 but for the known voxels."""
    data = np.full(GEOMETRY.matrix, 7, np.float32)
    for voxel, value in zip(VOXELS, KNOWN[name, unit], strict=False):
        data[voxel] = value
    return Map(name, data, unit, GEOMETRY)


def cells(reader: Reader, written: Mapping[tuple[str, str], list[Path]]) -> list[str]:
    """What a reader shows of the known voxels of each map, or why it shows nothing."""
    shown = []
    for of_map, files in written.items():
        values = KNOWN[of_map]
        try:
            found = reader(files, places_of(GEOMETRY)).reshape(GEOMETRY.matrix)
        except AbsentError:
            shown += ["not installed"] * len(values)
        except Exception:  # a reader fails in its own way
            shown += ["cannot"] * len(values)
        else:
            pairs = zip(VOXELS, values, strict=False)
            shown += [f"{round(float(found[voxel]), 2) + 0.0:g}" for voxel, _ in pairs]
    return shown


def table(form: str, readers: Mapping[str, Reader], header: Header) -> Table:
    """Readers by known voxels, of maps in one form."""
    result = Table(title=f"form: {form}", title_justify="left")
    result.add_column("reader", no_wrap=True)
    for (name, unit), values in KNOWN.items():
        for value in values:
            result.add_column(f"{name}\n{value:g} {unit}", justify="right")
    with tempfile.TemporaryDirectory() as folder:
        written = {
            of_map: write_series(known_map(*of_map), header, Path(folder), form=form)
            for of_map in KNOWN
        }
        for name, reader in readers.items():
            result.add_row(name, *cells(reader, written))
    return result


def of_orthanc(orthanc: Orthanc, rescale: str, files: list[Path], _: np.ndarray) -> np.ndarray:
    """What Orthanc's export for numpy shows, with or without the modality LUT."""
    url, shown = f"http://{HOST}:{orthanc.http}/instances", []
    for file in files:
        with urllib.request.urlopen(url, file.read_bytes()) as answer:
            number = json.load(answer)["ID"]
        with urllib.request.urlopen(f"{url}/{number}/numpy?rescale={rescale}") as answer:
            shown.append(np.load(BytesIO(answer.read()))[..., 0])
    return np.concatenate(shown)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    header, readers = Header.parse(header_text()), dict(READERS)
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            orthanc = stack.enter_context(Orthanc(folder))
        except Skipped:  # it is not installed
            pass
        else:
            readers["Orthanc: numpy"] = partial(of_orthanc, orthanc, "false")
            readers["Orthanc: numpy, rescaled"] = partial(of_orthanc, orthanc, "true")
        for form in FORMS:
            Console(width=120).print(table(form, readers, header))


if __name__ == "__main__":
    main()
