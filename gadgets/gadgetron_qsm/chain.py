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
from gadgetron_qsm.combination import combine_coils
from gadgetron_qsm.contrast.r2star import weighted_log_fit
from gadgetron_qsm.data import Echoes, Map
from gadgetron_qsm.dicom.identity import scan_name, series_description
from gadgetron_qsm.dicom.kinds import MAPS, kind_of
from gadgetron_qsm.dicom.series import write_series
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.field.echo_fit import EchoFit, weighted_echo_fit
from gadgetron_qsm.field.romeo import romeo
from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.inversion.weight import field_weight
from gadgetron_qsm.journal import Journal, rounded
from gadgetron_qsm.mask.brain import brain_mask
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.images import echoes_to_images, map_to_image
from gadgetron_qsm.mrd.messages import Image, Message
from gadgetron_qsm.settings import Settings

PPB_PER_PPM = np.float32(1000)
PERCENT = np.float32(100)
BRIGHTEST = 4095.0  # of the magnitude images, as scanners scale theirs


def combine(messages: Iterable[Message], header: Header, settings: Settings) -> Iterator[Echoes]:
    """Readouts or images of a scan, to one complex image an echo, coils combined.

    Gives one repetition after the other, each when the last of its messages has come.
    """
    start = time.perf_counter()
    for images in coil_images(messages, header, settings.kspace):
        journal = Journal(images.report)
        journal.timing_s.setdefault("ingest", round(time.perf_counter() - start, 3))
        with _naming(images.repetition):
            echoes = combine_coils(images, header, settings, journal)
        del images  # the next repetition needs the room
        yield echoes
        start = time.perf_counter()


def susceptibility(scans: Iterable[Echoes], settings: Settings) -> Iterator[Map]:
    """Complex echoes to every map; chi first, as it is what is waited for."""
    for echoes in scans:
        with _naming(echoes.repetition):
            yield from _maps(echoes, settings)


@contextmanager
def _naming(repetition: int) -> Iterator[None]:
    """Name a repetition behind the first in what is refused: those before it are delivered."""
    try:
        yield
    except QsmError as error:
        if not repetition:
            raise
        raise QsmError(f"repetition {repetition + 1}: {error}") from error


def _maps(echoes: Echoes, settings: Settings) -> Iterator[Map]:
    journal = Journal(echoes.report)
    xp = array_module(echoes.data)
    magnitude = xp.abs(echoes.data)
    fit = _fit(echoes, magnitude, journal)
    brain = _brain(magnitude, fit, echoes, settings, journal)
    local_field, chi, mask = _chi(fit, brain, echoes, settings, journal)

    def made(name: str, data: Array, **echo: Any) -> Map:
        data = to_numpy(data).astype(np.float32, copy=False)
        return Map(
            name,
            data,
            MAPS[name].unit,
            echoes.geometry,
            report=journal.report(),
            repetition=echoes.repetition,
            **echo,
        )

    yield made("chi", chi * PPB_PER_PPM)
    if len(echoes.echo_times_s) > 1:
        with journal.stage("r2star", method="log-linear fit weighted by squared magnitude"):
            r2star = xp.where(brain, weighted_log_fit(magnitude, echoes.echo_times_s), 0)
        yield made("r2star", r2star)
    else:
        journal.warn("no R2* map: it needs at least two echoes, and the scan has one")
    yield made("total_field", fit.total_field * PPB_PER_PPM)
    yield made("local_field", local_field * PPB_PER_PPM)
    yield made("mask", mask)
    magnitude *= BRIGHTEST / float(magnitude.max())
    for echo, echo_time_s in enumerate(echoes.echo_times_s):
        yield made("magnitude", magnitude[echo], echo=echo, echo_time_s=echo_time_s)
    if echoes.g_factor is not None:
        journal.provenance["g_factor"] = {"method": "from the GRAPPA kernels and sensitivities"}
        yield made("g_factor", echoes.g_factor * PERCENT)


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
    if len(magnitude) > 1:  # one echo is explained whatever it is
        median = array_module(magnitude).median(fit.residual[brain])
        journal.quality["phase_residual_rad"] = rounded(median)
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
    journal.quality["mask_volume_ml"] = rounded(mask.sum() * np.prod(geometry.voxel_size) / 1000)
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
        "sd_ppb": rounded(inside.std() * 1000),
    }
    return xp.where(mask, chi - np.float32(inside.mean()), 0)


def deliver(maps: Iterable[Map], header: Header, settings: Settings) -> Iterator[Image]:
    """Maps to the console: chosen ones as MRD images, a series index each, and DICOM if asked.

    Each repetition of a map is a series of its own.
    """
    series: dict[tuple[str, int], int] = {}
    for volume in maps:
        if volume.name not in settings.deliver.maps:
            continue
        index = series.setdefault((volume.name, volume.repetition), len(series) + 1)
        description = series_description(volume, header)
        yield map_to_image(volume, index, description=description, window=kind_of(volume).window)
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
