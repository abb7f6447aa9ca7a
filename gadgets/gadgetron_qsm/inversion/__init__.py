"""Local field to susceptibility."""

from gadgetron_qsm.inversion.tv import tv

METHODS = {"tv": tv}
