"""Strong sources of susceptibility: candidates of bleeds, haematomas and calcifications.

The sign tells them apart: blood's products are paramagnetic, calcium is diamagnetic. Both lose
signal, which is asked for as well. What a source makes of the field outside it is given by its
total susceptibility alone, the sum over its volume. That is measured well however the source blooms
(Liu et al. 2012, doi:10.1148/radiol.11110251); its volume and its susceptibility are not, as far as
the signal is lost around it. A map made in two passes (mask/two_pass.py) holds about half of the
total only: what of it the second pass puts beside the source's hole is not merged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from gadgetron_qsm.distance import depth
from gadgetron_qsm.measure.blooming import dephased_mm, diameter_mm, without_bloom
from gadgetron_qsm.measure.excess import excess_of
from gadgetron_qsm.measure.extent import Extent, extent
from gadgetron_qsm.measure.labels import LabelMap
from gadgetron_qsm.measure.peaks import Box, Peak, cropped, peaks
from gadgetron_qsm.measure.scan import Scan, Values
from gadgetron_qsm.measure.source import Criteria, Kind, Source

R2STAR, MAGNITUDE = "r2star", "magnitude"

BLOOM_MM = 1.0  # around what is above half of the peak, at least a voxel: the rest of the moment
RING_MM = (2.0, 4.0)  # distances from it of what it is compared with
SD_OF_MAD = 1.4826  # of a normal distribution
PPB_PER_PPM = 1000.0
DEFAULTS = Criteria()


def strong_sources(
    scan: Scan,
    *,
    labels: LabelMap | None = None,
    radians_per_ppm: float | None = None,
    criteria: Criteria = DEFAULTS,
) -> list[Source]:
    """Find the strong sources of a scan, the strongest first.

    Steps: chi over the brain's median, and in a nucleus of `labels`, or as near as registration
    may be off, over that of the nucleus, as iron there is no source; holes of the mask take the
    value of the nearest voxel; peaks of both signs, each with what is connected and above half of
    it; then what `criteria` say. radians_per_ppm: phase (rad) that 1 ppm makes at the first echo,
    by which volumes are corrected; without it they are those of the moment at the peak's
    susceptibility, too large where the signal is lost.
    Raises ValueError when labels are on another grid, or the mask is empty.
    """
    if labels is not None and labels.values.shape != scan.chi.shape:
        raise ValueError(f"labels are {labels.values.shape}, the scan {scan.chi.shape}")
    if not scan.mask.any():
        raise ValueError("the mask of the scan is empty")
    excess, inside = excess_of(scan, labels)
    size = scan.geometry.voxel_size
    typical = SD_OF_MAD * float(np.median(np.abs(excess[scan.mask])))
    floor = max(criteria.threshold_ppb, criteria.mads * typical)
    signed = [(p, sign) for sign in (1, -1) for p in peaks(sign * excess, floor)]
    edge = depth(np.pad(inside, 1), size)[1:-1, 1:-1, 1:-1]
    found = []
    for peak, sign in _without_sidelobes(signed, scan, criteria):
        part = _Part.of(peak, sign, excess, inside, scan, floor)
        depth_mm = np.median(edge[part.box][part.region])
        if depth_mm < criteria.edge_mm or _is_vein(part.extent, criteria):
            continue
        if support := _support(part, scan, criteria):
            found.append(_source(part, scan, labels, radians_per_ppm, support, criteria))
    return [source for source in found if source.diameter_mm >= criteria.smallest_mm]


def microbleeds(sources: Iterable[Source]) -> int:
    """Count the candidates of microbleeds."""
    return sum(source.kind == "microbleed candidate" for source in sources)


@dataclass(frozen=True, eq=False)
class _Part:
    """A peak's surroundings, arrays (z, y, x) in a box of the grid.

    strength: susceptibility (ppb) over the median of `ring`, times its sign; region: above half of
    the peak; whole: with its flanks; ring: around it, where that is no source.
    """

    sign: int
    box: Box
    strength: Values
    region: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    ring: NDArray[np.bool_]
    extent: Extent

    @classmethod
    def of(
        cls,
        peak: Peak,
        sign: int,
        excess: Values,
        inside: NDArray[np.bool_],
        scan: Scan,
        floor: float,
    ) -> _Part:
        size = scan.geometry.voxel_size
        box, region = cropped(peak, excess.shape, _voxels(RING_MM[1], scan))
        away = scipy.ndimage.distance_transform_edt(~region, sampling=size)
        blooms = np.minimum(np.array(size) / BLOOM_MM, 1)  # a voxel, where that is longer
        whole = scipy.ndimage.distance_transform_edt(~region, sampling=blooms) <= 1
        whole &= inside[box]
        ring = (away > RING_MM[0]) & (away <= RING_MM[1]) & inside[box] & ~whole
        strength = sign * excess[box]
        quiet = ring & (np.abs(strength) < floor / 2)
        ring = quiet if quiet.any() else ring
        if ring.any():
            strength = strength - np.median(strength[ring])
        weight = np.where(whole, np.maximum(strength, 0), 0)
        return cls(sign, box, strength, region, whole, ring, extent(weight, size))


def _without_sidelobes(
    signed: list[tuple[Peak, int]], scan: Scan, criteria: Criteria
) -> Iterator[tuple[Peak, int]]:
    """Give the peaks that are not what the inversion left of a stronger one, strongest first."""
    shadow = np.zeros(scan.chi.shape, np.float32)
    for peak, sign in sorted(signed, key=lambda entry: -entry[0].value):
        if peak.value < shadow[peak.at]:
            continue
        box, region = cropped(peak, shadow.shape, _voxels(criteria.sidelobe_mm, scan))
        away = scipy.ndimage.distance_transform_edt(~region, sampling=scan.geometry.voxel_size)
        cast = np.where(away <= criteria.sidelobe_mm, criteria.sidelobe_share * peak.value, 0)
        shadow[box] = np.maximum(shadow[box], cast)
        yield peak, sign


def _voxels(margin_mm: float, scan: Scan) -> tuple[int, ...]:
    return tuple(math.ceil(margin_mm / size) for size in scan.geometry.voxel_size)


def _is_vein(shape: Extent, criteria: Criteria) -> bool:
    long = shape.elongation > criteria.longest and shape.thinnest_mm < criteria.vein_mm
    return long or shape.fullness < criteria.fullest


def _support(part: _Part, scan: Scan, criteria: Criteria) -> tuple[str, ...]:
    """Name the maps that show a loss of signal."""
    shown = []
    if (rate := scan.others.get("r2star")) is not None:
        inner, outer = _compared(rate, part)
        if inner > criteria.rate_rise * outer:
            shown.append(R2STAR)
    inner, outer = _compared(scan.magnitude, part)
    if inner < criteria.magnitude_fall * outer:
        shown.append(MAGNITUDE)
    return tuple(shown)


def _compared(values: Values, part: _Part) -> tuple[float, float]:
    """Mean in the region, and median around it; not a number where nothing is around."""
    around = values[part.box][part.ring]
    return float(values[part.box][part.region].mean()), (
        float(np.median(around)) if around.size else math.nan
    )


def _source(
    part: _Part,
    scan: Scan,
    labels: LabelMap | None,
    radians_per_ppm: float | None,
    support: tuple[str, ...],
    criteria: Criteria,
) -> Source:
    size, inner = scan.geometry.voxel_size, part.strength[part.region]
    voxel_mm3, peak = math.prod(size), float(inner.max())
    total = float(part.strength[part.whole].sum(dtype=np.float64)) * voxel_mm3 / PPB_PER_PPM
    thresholded = inner.size * voxel_mm3
    filled = total * PPB_PER_PPM / peak  # by the moment, at the peak's susceptibility
    diameter = diameter_mm(max(thresholded, filled))
    kind = _kind(part.sign, diameter, criteria)
    volume = filled
    if kind == "haematoma candidate":  # blooms little, and its peak is not typical of it
        volume = int((part.strength[part.whole] > np.median(inner) / 2).sum()) * voxel_mm3
    elif radians_per_ppm is not None:
        volume = without_bloom(filled, dephased_mm(total, radians_per_ppm, max(size)))
    centre = np.array([c + s.start for c, s in zip(part.extent.centre, part.box, strict=True)])
    z, y, x = (int(i) for i in np.round(centre))
    at = scan.geometry.affine @ [*centre[::-1], 1]
    rate = scan.others.get("r2star")
    return Source(
        kind=kind,
        sign="paramagnetic" if part.sign > 0 else "diamagnetic",
        centre_mm=(float(at[0]), float(at[1]), float(at[2])),
        voxel=(z, y, x),
        peak_ppb=part.sign * peak,
        mean_ppb=part.sign * float(inner.mean(dtype=np.float64)),
        total_ppm_mm3=part.sign * total,
        thresholded_mm3=thresholded,
        volume_mm3=volume,
        diameter_mm=diameter,
        r2star=None if rate is None else float(rate[part.box][part.region].mean()),
        support=support,
        elongation=part.extent.elongation,
        measured=float(scan.mask[part.box][part.region].mean()),
        label=None if labels is None else _label(labels, (z, y, x)),
        box=part.box,
        region=part.region,
    )


def _kind(sign: int, diameter: float, criteria: Criteria) -> Kind:
    if sign < 0:
        return "calcification candidate"
    return "haematoma candidate" if diameter > criteria.largest_mm else "microbleed candidate"


def _label(labels: LabelMap, voxel: tuple[int, int, int]) -> str | None:
    value = labels.values[voxel]
    return next((s.label for s in labels.structures if s.value == value), None)
