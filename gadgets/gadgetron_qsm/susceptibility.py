"""Complex echoes to susceptibility: field, mask, background, inversion, reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.field.echo_fit import EchoFit
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.grid import dipole_kernel, filtered, good_size, pad_centre, unpad_centre
from gadgetron_qsm.inversion.csf import csf_mask
from gadgetron_qsm.inversion.streaking import streaking
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.journal import Journal, rounded
from gadgetron_qsm.mask.two_pass import merged, reliable
from gadgetron_qsm.methods import Method, bound, chosen, takes
from gadgetron_qsm.mrd.header import LARMOR_HZ_PER_T
from gadgetron_qsm.reference import WHOLE_BRAIN, refer
from gadgetron_qsm.sections import MethodSettings
from gadgetron_qsm.settings import Settings

PPB_PER_PPM = np.float32(1000)
CSF = "CSF of the ventricles"


@dataclass(frozen=True)
class Susceptibility:
    """What was found in one volume, arrays (z, y, x).

    brain (bool): the mask before background removal, which may make it smaller. chi, referenced,
    `inverted`, chi as the inversion gave it, and `left`, the field that background removal left,
    in ppm, 0 outside `mask` (bool); `left` is None for a method that takes the total field.
    """

    fit: EchoFit
    brain: Array
    mask: Array
    left: Array | None
    inverted: Array
    chi: Array
    geometry: Geometry

    @cached_property
    def local_field(self) -> Array:
        """Field (ppm) of the sources in the mask; of a method that takes the total field, chi's."""
        if self.left is not None:
            return self.left
        field = _field_of(self.inverted, self.geometry.voxel_size, self.geometry.b0_direction)
        return array_module(self.chi).where(self.mask, field, 0)


@dataclass(frozen=True)
class Volume:
    """One volume on its way: complex echoes, their magnitude (echo, z, y, x), how to treat them."""

    echoes: Echoes
    magnitude: Array
    settings: Settings
    journal: Journal

    @cached_property
    def edges(self) -> Array:
        """Magnitude (z, y, x) of all echoes together."""
        return array_module(self.magnitude).sqrt((self.magnitude**2).sum(axis=0))

    @cached_property
    def rate(self) -> Array:
        """R2* (1/s), everywhere. Raises QsmError for what its method refuses, as a single echo."""
        section = self.settings.r2star
        with self.journal.stage("r2star", **provenance(section)):
            return self.method(section)(self.magnitude, self.echoes.echo_times_s)

    def csf(self, mask: Array) -> Array:
        """CSF of the ventricles (bool), by its R2*. Raises QsmError when none is found."""
        rate = self.rate
        with self.journal.stage("csf", method="slow decay near the centre"):
            return csf_mask(rate, mask, self.echoes.geometry.voxel_size)

    def csf_if_found(self, mask: Array, without: str) -> Array | None:
        """CSF as above; None, and a warning that says what is done without it, if none is found."""
        try:
            return self.csf(mask)
        except QsmError as error:
            self.journal.warn(f"{without}: {error}")
            return None

    def method(self, section: MethodSettings, **offers: object) -> Method:
        """Return the method of a section, with its parameters and what it asks of the volume."""
        echoes = self.echoes
        known = of_scan(echoes.echo_times_s, echoes.larmor_hz, echoes.geometry.b0_direction)
        method = chosen(section.METHODS, section.method)
        return bound(method, section.parameters, **known, **offers)


def of_scan(
    echo_times_s: Sequence[float], larmor_hz: float, b0_direction: Sequence[float]
) -> dict[str, Any]:
    """Return what methods may ask of a scan; the phase of 1 ppm is that at the mean echo time."""
    mean_time_s = sum(echo_times_s) / len(echo_times_s)
    return {
        "b0_direction": b0_direction,
        "radians_per_ppm": 2e-6 * np.pi * larmor_hz * mean_time_s,
        "field_strength_t": larmor_hz / LARMOR_HZ_PER_T,
    }


def quantify(volume: Volume) -> Susceptibility:
    """Run the stages on one volume. Raises QsmError, with its name, for what a stage refuses."""
    fit = _fit(volume)
    brain = _brain(volume, fit)
    left, inverted, mask = _inverted(volume, fit, brain)
    if volume.settings.mask.two_pass:
        inverted, mask = _first_pass(volume, fit, brain, inverted, mask)
    chi = _referenced(volume, inverted, mask)
    _judge(volume, chi, mask)
    return Susceptibility(fit, brain, mask, left, inverted, chi, volume.echoes.geometry)


def provenance(section: MethodSettings) -> dict[str, object]:
    """What is told of a section: the method and every parameter."""
    return {"method": section.method, **section.complete()}


def _fit(volume: Volume) -> EchoFit:
    echoes = volume.echoes
    section = volume.settings.field.of(len(echoes.echo_times_s))
    with volume.journal.stage("field", **provenance(section)):
        run = volume.method(section)
        return run(echoes.data, echoes.echo_times_s, echoes.larmor_hz, echoes.geometry.voxel_size)


def _brain(volume: Volume, fit: EchoFit) -> Array:
    section, voxel_size = volume.settings.mask, volume.echoes.geometry.voxel_size
    with volume.journal.stage("mask", **provenance(section)):
        brain = volume.method(section)(volume.magnitude[0], fit.residual, voxel_size)
    if len(volume.magnitude) > 1:  # one echo is explained whatever it is
        median = array_module(brain).median(fit.residual[brain])
        volume.journal.quality["phase_residual_rad"] = rounded(median)
    return brain


def _inverted(volume: Volume, fit: EchoFit, brain: Array) -> tuple[Array | None, Array, Array]:
    """Return what background removal left, if there was one, chi (ppm), and the mask of both."""
    if volume.settings.inversion.single_step:
        return _single_step(volume, fit, brain)
    return _two_steps(volume, fit, brain)


def _first_pass(
    volume: Volume, fit: EchoFit, brain: Array, chi: Array, mask: Array
) -> tuple[Array, Array]:
    """Put chi of the reliable voxels alone, and where it holds, over that of the whole mask."""
    magnitude, size = volume.magnitude[0], volume.echoes.geometry.voxel_size
    told = {"method": "chi of the reliable voxels, others filled in"}
    try:
        with volume.journal.stage("two_pass", **told):
            sure = reliable(brain, magnitude, fit.residual, size)
            _, chi_of_sure, held = _inverted(volume, fit, sure)
            return merged(chi_of_sure, held, chi, mask)
    except QsmError as error:  # a map there is already
        volume.journal.warn(f"one pass only, strong sources may streak: {error}")
        return chi, mask


def _two_steps(volume: Volume, fit: EchoFit, brain: Array) -> tuple[Array, Array, Array]:
    settings, geometry = volume.settings, volume.echoes.geometry
    with volume.journal.stage("background", **provenance(settings.background)):
        weight = field_weight(fit.noise, brain, geometry.voxel_size, rim_mm=0)
        remove = volume.method(settings.background, weight=weight)
        local_field, mask = remove(fit.total_field, brain, geometry.voxel_size)
    csf = None
    if takes(settings.inversion.METHODS[settings.inversion.method], "csf"):
        csf = volume.csf_if_found(mask, "the inversion takes no CSF as uniform")
    with volume.journal.stage("inversion", **provenance(settings.inversion)):
        weight = field_weight(fit.noise, mask, geometry.voxel_size)
        offers = {"weight": weight, "magnitude": volume.edges, "csf": csf}
        invert = volume.method(settings.inversion, **offers)
        chi = invert(local_field, mask, geometry.voxel_size, geometry.b0_direction)
    return local_field, chi, mask


def _single_step(volume: Volume, fit: EchoFit, brain: Array) -> tuple[None, Array, Array]:
    section, geometry = volume.settings.inversion, volume.echoes.geometry
    with volume.journal.stage("inversion", **provenance(section)):
        weight = field_weight(fit.noise, brain, geometry.voxel_size, rim_mm=0)
        invert = volume.method(section, weight=weight, magnitude=volume.edges)
        chi, mask = invert(fit.total_field, brain, geometry.voxel_size, geometry.b0_direction)
    return None, chi, mask


def _judge(volume: Volume, chi: Array, mask: Array) -> None:
    """Note what tells how good a map is."""
    geometry, quality = volume.echoes.geometry, volume.journal.quality
    quality["mask_volume_ml"] = rounded(mask.sum() * np.prod(geometry.voxel_size) / 1000)
    ratio = streaking(chi, mask, geometry.voxel_size, geometry.b0_direction)
    if ratio is not None:
        quality["streaking_ratio"] = rounded(ratio)


def _field_of(
    chi: Array, voxel_size: tuple[float, float, float], b0_direction: tuple[float, float, float]
) -> Array:
    """Field (ppm) of a distribution of susceptibility in nothing."""
    shape = [good_size(2 * n) for n in chi.shape]
    kernel = dipole_kernel(shape, voxel_size, b0_direction, like=chi)
    return unpad_centre(filtered(pad_centre(chi, shape), kernel), chi.shape)


def _referenced(volume: Volume, chi: Array, mask: Array) -> Array:
    """Make chi relative to the mean over the region that the settings name, if it is found."""
    region, voxel_size = None, volume.echoes.geometry.voxel_size
    if volume.settings.reference.region == "csf":
        region = volume.csf_if_found(mask, f"chi is relative to the {WHOLE_BRAIN}, not to CSF")
    name = WHOLE_BRAIN if region is None else CSF
    with volume.journal.stage("reference", method="mean", region=name):
        chi, reference = refer(chi, mask, voxel_size, region=region, name=name)
    told = asdict(reference)
    volume.journal.quality["reference"] = {
        "region": told.pop("name"),
        **{key: rounded(value) for key, value in told.items()},
    }
    return chi
