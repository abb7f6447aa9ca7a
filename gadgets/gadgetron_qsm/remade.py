"""The noise of a susceptibility map, from making it again with more noise in the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gadgetron_qsm.arrays import array_module, to_numpy
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.measure.noise import Mask, Values, deviation, image_noise, noise_samples
from gadgetron_qsm.susceptibility import PPB_PER_PPM, Susceptibility, Volume, quantify


class _Again(Journal):
    """The journal of a map that nobody gets: what it warns of was told of the first one."""

    def warn(self, text: str) -> None:
        """Say nothing."""


def chi_noise(volume: Volume, found: Susceptibility, samples: int) -> Values:
    """Return the standard deviation (z, y, x) of chi in ppb from the noise of the images.

    The map is made again `samples` times where the echoes are. See measure.noise for what this
    covers; where the g-factor is known, the noise goes as that. Raises ValueError when the fit of
    the field leaves no noise to see.
    """
    echoes, magnitude, mask = volume.echoes, to_numpy(volume.magnitude), to_numpy(found.mask)
    xp = array_module(echoes.data)

    def remade(data: np.ndarray) -> tuple[Values, Mask]:
        brought = replace(echoes, data=xp.asarray(data))
        again = quantify(Volume(brought, xp.abs(brought.data), volume.settings, _Again()))
        return to_numpy(again.chi) * PPB_PER_PPM, to_numpy(again.mask)

    section = volume.settings.field.of(len(echoes.echo_times_s))
    fitted = 2 if section.complete().get("offset") else 1
    residual = to_numpy(found.fit.residual)
    noise: float | Values = image_noise(residual, magnitude, mask, fitted=fitted)
    if echoes.g_factor is not None:
        gain = to_numpy(echoes.g_factor)
        noise = (noise * gain / np.median(gain[mask])).astype(np.float32)
    drawn = noise_samples(to_numpy(echoes.data), noise, remade, samples=samples)
    spread: Values = deviation(drawn, mask, echoes.geometry.voxel_size)
    return spread
