"""What there is once a dataset: its description, its participants, a word for readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gadgetron_qsm import __version__
from gadgetron_qsm.bids.place import DERIVATIVES
from gadgetron_qsm.dicom.provenance import NOT_CLINICAL, SOFTWARE
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.report.files import replacing, write_json

BIDS_VERSION = "1.11.1"
DESCRIPTION, PARTICIPANTS, COLUMN = "dataset_description.json", "participants.tsv", "participant_id"
ABSENT = "n/a"  # BIDS' word for a value that is not known
README = f"""# Gradient echoes, reconstructed from raw data by gadgetron-qsm

Magnitude and phase of each echo (`MEGRE`; `T2starw` of a scan with one echo) are in `anat`.
The susceptibility in ppm (`Chimap`), R2* in 1/s, T2* in s and masks are in
`{DERIVATIVES.as_posix()}`. The JSON beside each image tells how it was made.

{NOT_CLINICAL} Heads are not defaced.
"""
DERIVED_README = f"""# Maps of gadgetron-qsm

Susceptibility in ppm (`Chimap`, paramagnetic is positive), R2* in 1/s (`R2starmap`), T2* in s
(`T2starmap`) and masks of the scans two folders up. The block `QSM` in the JSON beside each image
has the methods with all parameters, the reference region, and what doi:10.1002/mrm.30006 asks for.

{NOT_CLINICAL}
"""


def require_dataset(root: Path) -> None:
    """Raise QsmError for a folder that no scan may be added to.

    It may be absent or empty, a dataset of raw data, whoever made it, or what an earlier run left.
    """
    description = root / DESCRIPTION
    if description.is_file():
        if _read(description).get("DatasetType", "raw") != "raw":
            raise QsmError(f"{root} is a BIDS dataset, but not of raw data; name another folder")
    elif root.exists() and not (root / DERIVATIVES).is_dir():
        try:
            names = {path.name for path in root.iterdir() if not path.name.startswith(".")}
        except OSError as error:
            raise QsmError(f"cannot use {root} for BIDS: {error.strerror}") from error
        if names - {DERIVATIVES.parts[0]}:  # which another process may be making just now
            raise QsmError(
                f"{root} has files, but no {DESCRIPTION}: it is no BIDS dataset; name another "
                "folder"
            )


def write_dataset(root: Path) -> None:
    """Write what a dataset has besides its scans; call it again when there are more of them.

    What others wrote stays: description, README, and rows and columns of participants.tsv.
    Raises QsmError when a file cannot be read or written, and as `require_dataset`.
    """
    require_dataset(root)
    by = [{"Name": SOFTWARE, "Version": __version__}]
    content = {"BIDSVersion": BIDS_VERSION, "GeneratedBy": by}
    name = root.resolve().name or "QSM"
    if not (root / DESCRIPTION).exists():
        write_json(root / DESCRIPTION, {"Name": name, "DatasetType": "raw", **content})
    if not list(root.glob("README*")):
        _write(root / "README.md", README)
    _write_participants(root)
    of_maps = {
        "Name": f"{SOFTWARE}: maps of {name}",
        "DatasetType": "derivative",
        **content,
        "SourceDatasets": [{"URL": "../../"}],
        "DatasetLinks": {"raw": "../../"},
    }
    write_json(root / DERIVATIVES / DESCRIPTION, of_maps)
    _write(root / DERIVATIVES / "README.md", DERIVED_README)


def _write_participants(root: Path) -> None:
    """Add the subjects that have a folder and no row."""
    path = root / PARTICIPANTS
    there = sorted(folder.name for folder in root.glob("sub-*") if folder.is_dir())
    lines = _lines(path) if path.exists() else [COLUMN]
    columns = lines[0].split("\t")
    if COLUMN not in columns:
        raise QsmError(f"{path} has no column {COLUMN}; correct it")
    place = columns.index(COLUMN)
    known = {line.split("\t")[place] for line in lines[1:] if line.count("\t") >= place}
    new = [
        "\t".join(subject if column == COLUMN else ABSENT for column in columns)
        for subject in there
        if subject not in known
    ]
    if new or not path.exists():
        _write(path, "\n".join([*lines, *new]) + "\n")
    if not (about := path.with_suffix(".json")).exists():
        write_json(about, {COLUMN: {"Description": "Label of the subject, made of names of files"}})


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines() or [COLUMN]
    except (OSError, ValueError) as error:
        raise QsmError(f"cannot read {path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise QsmError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise QsmError(f"{path} is no description of a BIDS dataset; correct it")
    return content


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
