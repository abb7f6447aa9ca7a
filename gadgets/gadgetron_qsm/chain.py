"""The order of the stages: messages to echoes, echoes to maps, maps to images for the console.

Each stage is a generator that consumes the one before, so that a site may cut the chain between
processes where it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel

from gadgetron_qsm import background, inversion
from gadgetron_qsm.arrays import Array, array_module, to_numpy
from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.contrast.r2star import weighted_log_fit
from gadgetron_qsm.data import CoilImages, Echoes, Map
from gadgetron_qsm.dicom.identity import scan_name
from gadgetron_qsm.dicom.kinds import MAPS, kind_of
from gadgetron_qsm.dicom.series import write_series
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.field.echo_fit import EchoFit, weighted_echo_fit
from gadgetron_qsm.field.romeo import romeo
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.mask.brain import brain_mask
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import echoes_to_images, map_to_image
from gadgetron_qsm.mrd.messages import Image, Message
from gadgetron_qsm.settings import Settings

PPB_PER_PPM = np.float32(1000)
BRIGHTEST = 4095.0  # of the magnitude images, as scanners scale theirs


class Journal:
    """What was done to a scan: becomes the `report` of what comes out."""

    def __init__(self, report: Mapping[str, Any] | None = None) -> None:
        report = report or {}
        self.provenance: dict[str, Any] = dict(report.get("provenance", {}))
        self.timing_s: dict[str, float] = dict(report.get("timing_s", {}))
        self.quality: dict[str, Any] = dict(report.get("quality", {}))
        self.warnings: list[str] = list(report.get("warnings", []))

    @contextmanager
    def stage(self, name: str, **provenance: Any) -> Iterator[None]:
        """Time a stage; what it refuses is told with the stage's name."""
        start = time.perf_counter()
        try:
            yield
        except ValueError as error:
            raise QsmError(f"{name}: {error}") from error
        self.timing_s[name] = round(time.perf_counter() - start, 3)
        if provenance:
            self.provenance[name] = provenance

    def report(self) -> dict[str, Any]:
        """Return a copy in the form of Map.report."""
        return {
            "provenance": dict(self.provenance),
            "timing_s": dict(self.timing_s),
            "quality": dict(self.quality),
            "warnings": list(self.warnings),
        }


def combine(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Echoes]:
    """Readouts or images of a scan, to one complex image an echo, phase 0 at TE = 0."""
    start = time.perf_counter()
    images = coil_images(messages, header, settings.kspace)
    journal = Journal(images.report)
    journal.timing_s.setdefault("ingest", round(time.perf_counter() - start, 3))
    data = images.data
    if "coils" not in journal.provenance:
        data = _combine_coils(images, header, settings, journal)
    elif data.shape[1] != 1:
        raise QsmError("images that were combined already have more than one channel")
    else:
        data = data[:, 0]
    yield Echoes(
        data=data,
        echo_times_s=header.echo_times_s,
        larmor_hz=header.larmor_hz,
        geometry=images.geometry,
        report=journal.report(),
    )


def _combine_coils(
    images: CoilImages, header: Header, settings: Settings, journal: Journal
) -> Array:
    coils = settings.coils
    data = images.data if coils.phase_sign == 1 else images.data.conj()
    provenance = {"method": "MCPC-3D-S", "coils": data.shape[1], **coils.model_dump()}
    with journal.stage("coils", **provenance):
        return mcpc3ds(
            data,
            header.echo_times_s,
            images.geometry.voxel_size,
            smoothing_mm=coils.smoothing_mm,
        )


def susceptibility(scans: Iterable[Echoes], settings: Settings) -> Iterator[Map]:
    """Complex echoes to every map; chi first, as it is what is waited for."""
    for echoes in scans:
        yield from _maps(echoes, settings)


def _maps(echoes: Echoes, settings: Settings) -> Iterator[Map]:
    journal = Journal(echoes.report)
    xp = array_module(echoes.data)
    magnitude = xp.abs(echoes.data)
    fit = _fit(echoes, magnitude, journal)
    brain = _brain(magnitude, fit, echoes, settings, journal)
    local_field, chi, mask = _chi(fit, brain, echoes, settings, journal)

    def made(name: str, data: Array, **echo: Any) -> Map:
        data = to_numpy(data).astype(np.float32, copy=False)
        return Map(name, data, MAPS[name].unit, echoes.geometry, report=journal.report(), **echo)

    yield made("chi", chi * PPB_PER_PPM)
    with journal.stage("r2star", method="log-linear fit weighted by squared magnitude"):
        r2star = xp.where(brain, weighted_log_fit(magnitude, echoes.echo_times_s), 0)
    yield made("r2star", r2star)
    yield made("total_field", fit.total_field * PPB_PER_PPM)
    yield made("local_field", local_field * PPB_PER_PPM)
    yield made("mask", mask)
    magnitude *= BRIGHTEST / float(magnitude.max())
    for echo, echo_time_s in enumerate(echoes.echo_times_s):
        yield made("magnitude", magnitude[echo], echo=echo, echo_time_s=echo_time_s)


def _fit(echoes: Echoes, magnitude: Array, journal: Journal) -> EchoFit:
    times = echoes.echo_times_s
    with journal.stage("field", method="ROMEO, weighted linear echo fit"):
        phase = romeo(array_module(magnitude).angle(echoes.data), magnitude, times)
        return weighted_echo_fit(phase, magnitude, times, echoes.larmor_hz)


def _brain(
    magnitude: Array, fit: EchoFit, echoes: Echoes, settings: Settings, journal: Journal
) -> Array:
    parameters = settings.mask.model_dump()
    voxel_size = echoes.geometry.voxel_size
    with journal.stage("mask", method="magnitude and phase residual", **parameters):
        brain = brain_mask(magnitude[0], fit.residual, voxel_size, **parameters)
    median = array_module(magnitude).median(fit.residual[brain])
    journal.quality["phase_residual_rad"] = _round(median)
    return brain


def _chi(
    fit: EchoFit, brain: Array, echoes: Echoes, settings: Settings, journal: Journal
) -> tuple[Array, Array, Array]:
    """Return local field and chi (ppm, referenced), and the mask that both hold in."""
    geometry = echoes.geometry
    remove = _with_settings(background.METHODS, settings.background)
    with journal.stage("background", **settings.background.model_dump()):
        local_field, mask = remove(fit.total_field, brain, geometry.voxel_size)
    invert = _with_settings(inversion.METHODS, settings.inversion)
    with journal.stage("inversion", **settings.inversion.model_dump()):
        weight = field_weight(fit.noise, mask, geometry.voxel_size)
        chi = invert(local_field, mask, geometry.voxel_size, geometry.b0_direction, weight=weight)
    with journal.stage("reference", method="mean", region="the mean over the brain mask"):
        chi = _reference(chi, mask, journal)
    journal.quality["mask_volume_ml"] = _round(mask.sum() * np.prod(geometry.voxel_size) / 1000)
    return local_field, chi, mask


def _with_settings(
    methods: Mapping[str, Callable[..., Any]], section: BaseModel
) -> Callable[..., Any]:
    """Return the method that a section names, with the section's other settings."""
    parameters = section.model_dump()
    return partial(methods[parameters.pop("method")], **parameters)


def _reference(chi: Array, mask: Array, journal: Journal) -> Array:
    """Make chi relative to its mean over the mask."""
    xp = array_module(chi)
    inside = chi[mask].astype(xp.float64)
    journal.quality["reference"] = {
        "region": "brain mask",
        "sd_ppb": _round(inside.std() * 1000),
    }
    return xp.where(mask, chi - np.float32(inside.mean()), 0)


def _round(value: Any) -> float:
    return round(float(value), 4)


def deliver(maps: Iterable[Map], header: Header, settings: Settings) -> Iterator[Image]:
    """Maps to the console: chosen ones as MRD images, a series index each, and DICOM if asked."""
    series: dict[str, int] = {}
    for volume in maps:
        if volume.name not in settings.deliver.maps:
            continue
        index = series.setdefault(volume.name, len(series) + 1)
        kind = kind_of(volume)
        yield map_to_image(volume, index, description=kind.description, window=kind.window)
        if settings.deliver.dicom_folder:
            folder = settings.deliver.dicom_folder / scan_name(volume, header)
            write_series(volume, header, folder)
    if not series:
        raise QsmError(f"none of the maps {', '.join(settings.deliver.maps)} came to be delivered")


def qsm(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Image]:
    """Run the whole chain: a scan's messages to the console's images."""
    return deliver(susceptibility(combine(messages, header, settings), settings), header, settings)


def combined_images(
    messages: Iterable[Message], header: Header, settings: Settings
) -> Iterator[Image]:
    """Run the first third: a scan's messages to one complex image an echo."""
    for echoes in combine(messages, header, settings):
        yield from echoes_to_images(echoes)
