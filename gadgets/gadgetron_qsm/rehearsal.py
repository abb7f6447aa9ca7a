"""A small scan that nobody waits for: what it compiles and loads is ready when a real one comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gadgetron_qsm import chain
from gadgetron_qsm.kspace.fourier import centred_fft
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import Settings
from gadgetron_qsm.site.privacy import line_of
from gadgetron_qsm.site.scans import aside

log = logging.getLogger(__name__)

MATRIX, COILS, VOXEL_MM = (24, 32, 32), 10, 4.0  # enough coils to be compressed
BALL_MM = 42.0
ECHO_TIMES_MS = (5.0, 12.0, 19.0)  # of which the first is no whole multiple of the spacing
NOISE, NOISE_FLAG = 0.01, 1 << 18

_Z, _Y, _X = MATRIX
_SPACE = f"""<matrixSize><x>{_X}</x><y>{_Y}</y><z>{_Z}</z></matrixSize>
<fieldOfView_mm><x>{_X * VOXEL_MM}</x><y>{_Y * VOXEL_MM}</y><z>{_Z * VOXEL_MM}</z>
</fieldOfView_mm>"""
HEADER = f"""<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>
<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>
<encoding><encodedSpace>{_SPACE}</encodedSpace><reconSpace>{_SPACE}</reconSpace>
<encodingLimits/><trajectory>cartesian</trajectory></encoding>
<sequenceParameters>{"".join(f"<TE>{te}</TE>" for te in ECHO_TIMES_MS)}</sequenceParameters>
</ismrmrdHeader>"""


def rehearse(settings: Settings) -> None:
    """Compute the maps of a ball with the settings of the scans to come, and forget them.

    A rehearsal that fails, as with settings that a ball does not bear, stops nothing.
    """
    start = time.perf_counter()
    try:
        with processors(), _quiet(), aside():
            volumes = chain.combine(readouts(), Header.parse(HEADER), settings)
            made = len(list(chain.susceptibility(volumes, settings, settings.deliver.maps)))
    except Exception as error:  # scans to come may well succeed
        log.info("the rehearsal failed: %s", line_of(error))
    else:
        log.info("rehearsed %d maps in %.1f s", made, time.perf_counter() - start)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what is warned of a ball."""
    ours = logging.getLogger(__package__)
    level = ours.level
    ours.setLevel(logging.ERROR)
    try:
        yield
    finally:
        ours.setLevel(level)


def readouts() -> Iterator[Acquisition]:
    """Noise, then the lines of the ball, echo after echo."""
    rng = np.random.default_rng(0)
    head = np.zeros((), ACQUISITION_HEADER)
    head["number_of_samples"], head["center_sample"] = _X, _X // 2
    head["active_channels"] = COILS
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    head["flags"] = NOISE_FLAG
    for _ in range(COILS):
        yield Acquisition(head.copy()[()], _noise(rng, (COILS, _X)))
    head["flags"] = 0
    data = centred_fft(_images(), axes=[2, 3, 4])
    data += _noise(rng, data.shape)
    for kz, ky, echo in np.ndindex(_Z, _Y, len(ECHO_TIMES_MS)):
        head["idx"]["kspace_encode_step_2"], head["idx"]["kspace_encode_step_1"] = kz, ky
        head["idx"]["contrast"] = echo
        yield Acquisition(head.copy()[()], data[echo, :, kz, ky])


def _images() -> np.ndarray:
    """Images (echo, coil, z, y, x) of a ball whose field bends gently, and turns within."""
    axes = [(np.arange(n) - n // 2) * VOXEL_MM / BALL_MM for n in MATRIX]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    ball = z**2 + y**2 + x**2 < 1
    field_hz = 20 * (z**2 - y**2 / 2 - x**2 / 2) + 15 * np.exp(-30 * (z**2 + y**2 + x**2))
    coils = [
        np.exp(0.5 * (z * np.cos(turn) + y * np.sin(turn)) + 1j * (turn + 0.3 * x))
        for turn in np.linspace(0, 2 * np.pi, COILS, endpoint=False)
    ]
    echoes = [ball * np.exp(te * (-0.02 + 2e-3j * np.pi * field_hz)) for te in ECHO_TIMES_MS]
    return np.array([[coil * echo for coil in coils] for echo in echoes], np.complex64)


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    parts = rng.standard_normal((*shape, 2), np.float32) * np.float32(NOISE)
    return parts.view(np.complex64)[..., 0]
