"""Bipolar readouts: the phase between echoes read forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.field.romeo import romeo

EQUAL_SPACING = 0.01  # an echo that much of its neighbours' distance off their middle is in it
SIGNAL = 0.2  # of the magnitude that one voxel in twenty exceeds
OUTLIER = 3.0  # median deviations beyond which a voxel loses weight
REWEIGHTINGS = 8
FITTED = 200_000  # voxels that give the plane, of all that have signal
CLEARLY = 1.05  # more: so much one of two images may resemble a third by chance
MIRRORED = 32  # voxels along z and y that tell whether an echo is mirrored
TINY = float(np.finfo(np.float32).tiny)  # where there is no signal

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class OddEven:
    """Phase of the echoes read backwards over that of the echoes read forwards.

    constant_rad at voxel n//2; slope_rad (z, y, x) over the field of view, 2 pi for each sample
    that k-space is shifted by, on whatever grid. residual_rad is the weighted root mean square of
    what this does not explain.
    """

    constant_rad: float
    slope_rad: tuple[float, float, float]
    residual_rad: float


def odd_even_phase(
    images: Array, echo_times_s: Sequence[float], reversed_echoes: Sequence[bool]
) -> OddEven:
    """Estimate the constant and linear phase that gradient delays and eddy currents leave.

    images (echo, coil, z, y, x) complex64, samples of reversed_echoes already put in order; those
    of the centre of k-space will do, as the slopes are over the field of view.
    Each echo between two of the other direction is compared with what these predict for its time,
    which cancels the coils' phases and the field, wraps included: twice the echo's phase less that
    of both, where it lies in their middle; otherwise by their phase difference, unwrapped.
    The slopes come from the phase between neighbouring voxels, the rest from a plane that is fitted
    to the remaining angle, weighted by the squared magnitude and again by how well a voxel agrees
    (Cauchy). A constant field of a turn between the outer echoes looks like another constant, pi
    off for equal spacing: the smallest is taken.
    Raises ValueError when no echo lies between two of the other direction: the field then looks
    the same; and when there is no signal.
    Li et al. 2015, doi:10.1007/s10334-014-0470-3.
    """
    triples = list(_triples(reversed_echoes))
    if not triples:
        raise ValueError(
            "no echo lies between two echoes of the other readout direction; the phase between "
            "directions cannot be told from the field"
        )
    positions = [_position(echo_times_s, triple) for triple in triples]
    turns = 2 if all(abs(2 * place - 1) < EQUAL_SPACING for place in positions) else 1
    total = array_module(images).zeros(images.shape[2:], images.dtype)
    for triple, place in zip(triples, positions, strict=True):
        difference = _deviation(images, triple, place, turns)
        total += difference if reversed_echoes[triple[1]] else difference.conj()
    return _fit_plane(total, turns)


def remove_odd_even(images: Array, odd_even: OddEven, reversed_echoes: Sequence[bool]) -> None:
    """Take the phase between readout directions off images (echo, coil, z, y, x), in place.

    Half is taken off the echoes read backwards, half added to the others; what all echoes then
    have in common is a phase offset as the coils have it.
    """
    half = _ramp(images, 0.5 * odd_even.constant_rad, [0.5 * x for x in odd_even.slope_rad])
    for echo, backwards in enumerate(reversed_echoes):
        images[echo] *= half.conj() if backwards else half


def mirrored_echoes(images: Array) -> list[int]:
    """Return the echoes that look more like the first one turned round along x than like it.

    images (echo, coil, z, y, x). Where coils see different sides these were read backwards, and
    their samples are still in that order. Magnitudes are compared, all coils together.
    """
    xp = array_module(images)
    step = (slice(None), *(slice(None, None, max(1, n // MIRRORED)) for n in images.shape[2:4]))
    first = xp.abs(images[0][step])
    turned = xp.roll(first[..., ::-1], 1 - images.shape[-1] % 2, axis=-1)  # about voxel n//2
    mirrored = []
    for echo in range(1, len(images)):
        magnitude = xp.abs(images[echo][step])
        if float((magnitude * turned).sum()) > CLEARLY * float((magnitude * first).sum()):
            mirrored.append(echo)
    return mirrored


def _ramp(images: Array, constant: float, slopes: Sequence[float]) -> Array:
    """Phasors (z, y, x) of a phase of `slopes` over the field of view, `constant` at voxel n//2."""
    xp = array_module(images)
    ramp = xp.asarray(np.exp(1j * constant), dtype=xp.complex64)
    for axis, (n, slope) in enumerate(zip(images.shape[-3:], slopes, strict=True)):
        line = xp.exp(1j * slope / n * (xp.arange(n) - n // 2)).astype(xp.complex64)
        ramp = ramp * line.reshape([n if i == axis else 1 for i in range(3)])
    return ramp


def _triples(reversed_echoes: Sequence[bool]) -> Iterator[Triple]:
    """Give each echo between two of the other direction, and the nearest of those."""
    for middle, direction in enumerate(reversed_echoes):
        others = [echo for echo, other in enumerate(reversed_echoes) if other != direction]
        before = [echo for echo in others if echo < middle]
        after = [echo for echo in others if echo > middle]
        if before and after:
            yield before[-1], middle, after[0]


def _position(echo_times_s: Sequence[float], triple: Triple) -> float:
    """Place of the middle echo in time, 0 at the one before, 1 at the one after."""
    before, middle, after = (echo_times_s[echo] for echo in triple)
    return (middle - before) / (after - before)


def _deviation(images: Array, triple: Triple, place: float, turns: int) -> Array:
    """Phase of the middle echo over the predicted one, `turns` times, with the signal's magnitude.

    Products of few echoes, all coils together, as their phases cancel in each.
    """
    xp = array_module(images)
    before, middle, after = triple
    product = _product(images, before, middle)
    if turns == 2:
        product *= _product(images, after, middle)
        return _rooted(product)
    growth = _product(images, before, after)
    phase = romeo(xp.angle(growth)[None], xp.abs(growth)[None], [1.0])[0]
    product *= xp.exp(-1j * np.float32(place) * phase)
    product *= _free_turn(product, place)
    return product


def _free_turn(phasors: Array, place: float) -> complex:
    """Phasor of the turn more or less of an unwrapped phase that leaves the smallest constant."""
    ramp = _ramp(phasors, 0, [_slope(phasors, axis) for axis in range(3)])
    mean = complex((phasors * ramp.conj()).sum())
    turns = [np.exp(2j * np.pi * place * n) for n in (0, 1, -1)]
    return min(turns, key=lambda turn: abs(np.angle(mean * turn)))


def _product(images: Array, conjugate: int, echo: int) -> Array:
    """Phase from one echo to another (z, y, x), all coils together, with the signal's magnitude."""
    product = array_module(images).zeros(images.shape[2:], images.dtype)
    for one, other in zip(images[conjugate], images[echo], strict=True):
        product += one.conj() * other
    return _rooted(product)


def _rooted(product: Array) -> Array:
    """Take the root of the magnitude: products of more would leave the range of float32."""
    xp = array_module(product)
    product /= xp.sqrt(xp.maximum(xp.abs(product), TINY))
    return product


def _fit_plane(phasors: Array, turns: int) -> OddEven:
    """Fit constant and slopes to 1 / turns of the angle of phasors (z, y, x)."""
    xp = array_module(phasors)
    magnitude = xp.abs(phasors)
    strong = xp.flatnonzero(magnitude > SIGNAL * xp.quantile(magnitude, 0.95))
    if len(strong) == 0:
        raise ValueError("the images hold no signal")
    strong = strong[:: -(-len(strong) // FITTED)]
    places = xp.unravel_index(strong, phasors.shape)
    from_centre = [(at - n // 2) / n for at, n in zip(places, phasors.shape, strict=True)]
    design = xp.stack([xp.ones(len(strong)), *from_centre], axis=1)
    chosen = phasors.ravel()[strong].astype("complex128")
    plane = xp.asarray([0.0, *(_slope(phasors, axis) for axis in range(3))])
    plane[0] = xp.angle((chosen * xp.abs(chosen) * xp.exp(-1j * design @ plane)).sum())
    for _ in range(REWEIGHTINGS):
        plane = plane + _step(chosen, design, plane)
    weight, rest = xp.abs(chosen) ** 2, _rest(chosen, design, plane)
    residual = float(xp.sqrt((weight * rest**2).sum() / weight.sum()))
    constant, *slopes = plane.tolist()
    z, y, x = (slope / turns for slope in slopes)
    return OddEven(constant / turns, (z, y, x), residual / turns)


def _slope(phasors: Array, axis: int) -> float:
    """Phase (rad) over the field of view, by that from voxel to voxel."""
    x = array_module(phasors).moveaxis(phasors, axis, 0)
    return len(x) * float(np.angle(complex((x[1:] * x[:-1].conj()).sum(dtype="complex128"))))


def _rest(phasors: Array, design: Array, plane: Array) -> Array:
    xp = array_module(phasors)
    return xp.angle(phasors * xp.exp(-1j * design @ plane))


def _step(phasors: Array, design: Array, plane: Array) -> Array:
    """What a fit to the remaining angle adds to the plane, voxels weighted by their agreement."""
    xp = array_module(phasors)
    rest = _rest(phasors, design, plane)
    scale = OUTLIER * xp.median(xp.abs(rest)) + 1e-6
    weighted = (xp.abs(phasors) ** 2 / (1 + (rest / scale) ** 2))[:, None] * design
    return xp.linalg.lstsq(weighted.T @ design, weighted.T @ rest, rcond=1e-12)[0]
