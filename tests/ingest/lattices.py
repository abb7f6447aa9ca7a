"""Accelerated scans of a head, line by line."""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.kspace.lattice import Lattice
from tests.kspace.hybrid import block, head
from tests.raw_scan import flag, header, readout

ECHOES, COILS, NZ, NY, NX = 2, 6, 32, 36, 4
CENTRE = (14, 14)
IMAGING = (
    "<parallelImaging><accelerationFactor><kspace_encoding_step_1>{}</kspace_encoding_step_1>"
    "<kspace_encoding_step_2>{}</kspace_encoding_step_2></accelerationFactor>"
    "<calibrationMode>{}</calibrationMode></parallelImaging>"
)


def header_of(acceleration, mode="embedded", **more):
    """Of a scan accelerated along (kz, ky)."""
    return header(NZ, NY, NX, imaging=IMAGING.format(*acceleration[::-1], mode), **more)


def samples(seed=0):
    """k-space (echo, coil, kz, ky, sample) of a head with a little noise, oversampled twofold."""
    hybrid = head((NZ, NY, NX), COILS, ECHOES)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((*hybrid.shape, 2)) @ (1, 1j)
    hybrid = hybrid + 0.01 * np.abs(hybrid).std() * noise
    wide = np.zeros((*hybrid.shape[:-1], 2 * NX), np.complex64)
    wide[..., NX - NX // 2 : 2 * NX - NX // 2] = hybrid
    return centred_fft(wide, axes=[4])


def sampled_lines(lattice, centre=CENTRE, elliptical=False):
    """Lines (kz, ky) that a scan takes."""
    lines = lattice.lines((NZ, NY))
    if centre:
        lines[block((NZ, NY), centre)] = True
    if elliptical:
        kz, ky = (np.arange(n) - n // 2 for n in (NZ, NY))
        lines &= np.hypot(*np.ix_(kz / (NZ / 2), ky / (NY / 2))) <= 1
    return lines


def readouts(data, lines, order="linear", flags=0):
    """Readouts of lines (kz, ky), echo after echo, in an order."""
    places = np.argwhere(lines)
    if order == "partition-inner":
        places = places[np.lexsort(places.T)]
    elif order == "random":
        places = np.random.default_rng(3).permutation(places)
    for kz, ky in places.tolist():
        for echo in range(len(data)):
            counted = {"kspace_encode_step_2": kz, "kspace_encode_step_1": ky, "contrast": echo}
            yield readout(data[echo, :, kz, ky], flags, **counted)


def calibration_readouts(data):
    """Readouts of a calibration scan apart from the image."""
    lines = np.zeros((NZ, NY), bool)
    lines[block((NZ, NY), CENTRE)] = True
    return readouts(data, lines, flags=flag(20))


R2, R2X2 = Lattice((1, 2)), Lattice((2, 2))
CAIPI2X2, CAIPI3X2 = Lattice((2, 2), (0, 1)), Lattice((2, 3), (0, 1))
