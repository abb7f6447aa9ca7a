"""A connection as far as the log of its scan is concerned."""

from __future__ import annotations

from types import SimpleNamespace

from gadgetron_qsm.mrd.traffic import Traffic

PATIENT = "Zebedee"


def connected(header: str = f"<patientName>{PATIENT}</patientName>") -> SimpleNamespace:
    return SimpleNamespace(header_text=header, traffic=Traffic())
