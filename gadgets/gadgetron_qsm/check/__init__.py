"""Is this usable: the installation, a configuration, a raw file, a series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gadgetron_qsm import configs
from gadgetron_qsm.check.configuration import configuration
from gadgetron_qsm.check.files import raw_file, series
from gadgetron_qsm.check.installation import installation
from gadgetron_qsm.mrd.raw import is_raw
from gadgetron_qsm.mrd.siemens import to_be_converted
from gadgetron_qsm.site.findings import Finding, told

__all__ = ["check"]


def check(subject: Path | None) -> Iterator[Finding]:
    """Look at a configuration (.xml or a name), a raw file of any kind, a folder of one series,
    or, without a subject, at the installation. Raises QsmError for what cannot be looked at.
    """
    if subject is None:
        return installation()
    if subject.is_dir():
        return told(series(subject))
    if subject.is_file() and (is_raw(subject) or to_be_converted(subject)):
        return told(raw_file(subject))
    return configuration(configs.read(str(subject)))
