"""Local field to susceptibility, and total field to susceptibility in a single step."""

from collections.abc import Callable
from typing import Any

from gadgetron_qsm.inversion.hdqsm import hdqsm
from gadgetron_qsm.inversion.medi import medi
from gadgetron_qsm.inversion.ndi import ndi
from gadgetron_qsm.inversion.nltv import nltv
from gadgetron_qsm.inversion.ss_tv import ss_tv
from gadgetron_qsm.inversion.tgv import tgv
from gadgetron_qsm.inversion.tikhonov import tikhonov
from gadgetron_qsm.inversion.tkd import tkd
from gadgetron_qsm.inversion.tv import tv

METHODS: dict[str, Callable[..., Any]] = {
    "tv": tv,
    "nltv": nltv,
    "medi": medi,
    "hdqsm": hdqsm,
    "ndi": ndi,
    "tikhonov": tikhonov,
    "tkd": tkd,
}
SINGLE_STEP: dict[str, Callable[..., Any]] = {"ss_tv": ss_tv, "tgv": tgv}
