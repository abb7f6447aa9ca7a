"""The coils of one repetition to one complex image an echo, and how well that went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gadgetron_qsm.arrays import Array, array_module, on_device, to_numpy
from gadgetron_qsm.coils import METHODS
from gadgetron_qsm.coils.ghosting import ghosting
from gadgetron_qsm.coils.residues import phase_residues
from gadgetron_qsm.coils.roemer import roemer
from gadgetron_qsm.coils.thinned import thinned
from gadgetron_qsm.data import CoilImages, Echoes
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.journal import Journal, rounded
from gadgetron_qsm.kspace.g_factor import g_factor
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.settings import Settings

NAMES = {"mcpc3ds": "MCPC-3D-S", "vrc": "VRC"}  # as the literature has them
HEAD = 0.2  # of the 99th percentile of the magnitude: what is brighter counts as head


def combine_coils(
    images: CoilImages, header: Header, settings: Settings, journal: Journal
) -> Echoes:
    """Combine the coils of one repetition, unless somebody else has.

    The phase is 0 at TE = 0; that of a single echo has a smooth offset. The report is the
    journal's, to which this adds. Raises QsmError for images that are combined and have several
    channels all the same, and for what the method of combination refuses.
    """
    data, gain = images.data, images.g_factor
    if "coils" not in journal.provenance:
        data, gain = _combined(images, header, settings, journal)
    elif data.shape[1] != 1:
        raise QsmError("images that were combined already have more than one channel")
    else:
        data = data[:, 0]
    if gain is None and "g_factor" in settings.deliver.maps:
        journal.warn("no g-factor map: it is made from GRAPPA's kernels, and none were used here")
    return Echoes(
        data=data,
        echo_times_s=header.echo_times_s,
        larmor_hz=header.larmor_hz,
        geometry=images.geometry,
        report=journal.report(),
        repetition=images.repetition,
        g_factor=gain,
    )


def _combined(
    images: CoilImages, header: Header, settings: Settings, journal: Journal
) -> tuple[Array, Array | None]:
    """Return the combined images, and the g-factor when it was asked for and is known."""
    coils, data = settings.coils, images.data
    first = data[0]  # held, so that of `Tiles` it goes to the device once
    method = coils.method
    if method == "auto":
        method = "mcpc3ds" if len(header.echo_times_s) > 1 else "vrc"
    parameters = {"coils": data.shape[1], **coils.model_dump(exclude={"method"})}
    with journal.stage("coils", method=NAMES[method], **parameters):
        sensitivities = METHODS[method](
            data,
            header.echo_times_s,
            images.geometry.voxel_size,
            smoothing_mm=coils.smoothing_mm,
        )
        combined = roemer(data, sensitivities)
    xp = array_module(combined)
    journal.quality["ghosting_percent"] = rounded(ghosting(first))
    journal.quality["phase_residues"] = _residues(combined[0], first.sum(axis=0))
    if coils.phase_sign == -1:  # here it is one volume an echo, and all before is symmetric
        xp.conjugate(combined, out=combined)
    if not images.kernels or "g_factor" not in settings.deliver.maps:
        return combined, None
    with journal.stage("g_factor"):
        return combined, _g_factor(images.kernels, sensitivities)


def _g_factor(kernels: Sequence[Sequence[Kernels]], sensitivities: Array) -> Array:
    """Return the g-factor (z, y, x) of the first echo, from kernels as CoilImages has them."""
    weights = kernels[0][0].weights
    xp = array_module(weights)
    seen = xp.asarray(sensitivities) if on_device(weights) else to_numpy(sensitivities)
    parts = xp.array_split(seen, len(kernels), axis=1)
    return xp.concatenate(
        [g_factor(part[0], of_part) for part, of_part in zip(kernels, parts, strict=True)]
    )


def _residues(combined: Array, summed: Array) -> dict[str, Any]:
    """Count phase singularities of the first echo: a combination that cancels coils makes them.

    combined, summed (z, y, x): with the coils' phases matched, and as they are.
    """
    xp = array_module(combined)
    magnitude = xp.abs(combined)
    head = magnitude > HEAD * xp.percentile(thinned(magnitude), 99).astype(xp.float32)
    return {
        "combined": phase_residues(combined, head),
        "sum_over_coils": phase_residues(summed, head),
        "voxels": int(head.sum()),
        "region": f"magnitude above {HEAD} of its 99th percentile",
    }
