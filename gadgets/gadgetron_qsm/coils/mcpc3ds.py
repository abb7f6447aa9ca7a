"""Coil combination that keeps the phase QSM needs, without a reference scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module, ndimage_module, slabs
from gadgetron_qsm.coils.products import add_products
from gadgetron_qsm.coils.sensitivities import relative_sensitivities
from gadgetron_qsm.coils.vrc import virtual_coil
from gadgetron_qsm.field.romeo import free_turns, romeo
from gadgetron_qsm.field.wraps import TURN, nearest_turn

WHOLE = 0.01  # off a whole multiple: an unseen turn of the phase is an offset of 0.06 rad
LARGEST_BLOCK_MM = 4.0  # in which the phase hardly turns between the first two echoes
MOST_PLANES = 32  # that are looked at for one number
ISLAND_MM = 10.0  # standard deviation of the Gaussian over an island's surroundings
PASSES = 3
TINY = float(np.finfo(np.float32).tiny)  # where there is no signal


def mcpc3ds(
    images: Array,
    echo_times_s: Sequence[float],
    voxel_size: Sequence[float],
    *,
    smoothing_mm: float = 6.0,
) -> Array:
    """Estimate sensitivities whose phase is each coil's offset at TE = 0, with MCPC-3D-S.

    images (echo, coil, z, y, x) complex64, noise white; voxel_size (z, y, x) in mm.
    Steps: the phase that the field makes between the first two echoes, all coils together; from
    it the phase until the first; what each coil's first image has beyond that, smoothed as
    `relative_sensitivities` does. Where the first echo time is a whole multiple of the spacing, as
    in TE2 = 2 TE1, wraps of that phase make no difference (ASPIRE); otherwise it is unwrapped, its
    free multiple of 2 pi taken from the third echo (0 when that cannot tell), and that of islands,
    such as scalp behind the dark skull, such that the offset of a virtual coil is smooth.
    Returns (coil, z, y, x) complex64, of any norm. Raises ValueError for fewer than two echoes.
    Eckstein et al. 2018, doi:10.1002/mrm.26963.
    """
    if len(echo_times_s) < 2:
        raise ValueError("the coils' phase offsets need at least two echoes")
    first = images[0]
    xp = array_module(first)
    growth = _growth(first, images, 1)
    spacings = echo_times_s[0] / (echo_times_s[1] - echo_times_s[0])
    phase = xp.angle(growth)
    if not _is_whole(spacings):
        phase = _unwrapped(phase, growth, voxel_size)
        phase -= TURN * _turns_off(phase, first, images, echo_times_s)
    reference = _phasor(phase * np.float32(spacings))
    reference *= xp.sqrt(xp.abs(growth))
    if not _is_whole(spacings) and bool(growth.any()):
        offset = virtual_coil(first)
        offset *= reference.conj()
        reference *= _island_turns(offset, spacings, voxel_size)
    return relative_sensitivities(first, reference, voxel_size, smoothing_mm=smoothing_mm)


def _is_whole(multiple: float) -> bool:
    return abs(multiple - round(multiple)) < WHOLE


def _growth(first: Array, images: Array, echo: int, step: int = 1) -> Array:
    """Magnitude squared and phase difference of an echo to the first, in every `step`-th plane."""
    growth = array_module(first).zeros(first[0, ::step].shape, first.dtype)
    for part in slabs(growth):
        planes = slice(part.start * step, part.stop * step, step)
        later = (images[echo, coil, planes] for coil in range(len(first)))
        add_products(growth[part], first[:, planes], later)
    return growth


def _phasor(angle: Array) -> Array:
    """exp(i angle), complex64, of an angle in rad, float32."""
    xp = array_module(angle)
    phasor = xp.empty(angle.shape, xp.complex64)
    xp.cos(angle, out=phasor.real)
    xp.sin(angle, out=phasor.imag)
    return phasor


def _unwrapped(phase: Array, growth: Array, voxel_size: Sequence[float]) -> Array:
    """Unwrap `phase`, that of `growth`, in blocks of two voxels along each axis."""
    xp = array_module(phase)
    blocks = growth
    halved = [axis for axis in range(3) if 2 * voxel_size[axis] <= LARGEST_BLOCK_MM]
    for axis in halved:
        blocks = _halved(blocks, axis)
    magnitude = xp.sqrt(xp.abs(blocks))
    guide = romeo(xp.angle(blocks)[None], magnitude[None], [1.0])[0]
    factors = [2 if axis in halved else 1 for axis in range(3)]
    return nearest_turn(phase, _expanded(guide, factors, phase.shape))


def _halved(volume: Array, axis: int) -> Array:
    """Sum neighbours along an axis, which may be odd."""
    volume = array_module(volume).moveaxis(volume, axis, 0)
    half = volume[::2].copy()
    half[: len(volume) // 2] += volume[1::2]
    return array_module(volume).moveaxis(half, 0, axis)


def _expanded(blocks: Array, factors: Sequence[int], shape: Sequence[int]) -> Array:
    """Give every voxel of `shape` the value of its block of `factors` voxels."""
    xp = array_module(blocks)
    for axis, (factor, n) in enumerate(zip(factors, shape, strict=True)):
        if factor > 1:
            blocks = blocks.take(xp.arange(n) // factor, axis=axis)
    return blocks


def _island_turns(offset: Array, spacings: float, voxel_size: Sequence[float]) -> Array:
    """Phasors (z, y, x) that make `offset`, smooth but for whole turns of the unwrapping, smooth.

    The conjugate of what turns the offset turns the reference. Done in blocks, each of which takes
    the turn that agrees best with its surroundings, a few times over.
    """
    xp = array_module(offset)
    gaussian = ndimage_module(offset).gaussian_filter
    blocks, factors = offset, []
    for axis, size in enumerate(voxel_size):
        halvings = max(0, int(np.log2(LARGEST_BLOCK_MM / size)))
        for _ in range(halvings):
            blocks = _halved(blocks, axis)
        factors.append(2**halvings)
    width = [ISLAND_MM / (n * size) for n, size in zip(factors, voxel_size, strict=True)]
    one_turn = xp.asarray(np.exp(-2j * np.pi * spacings * np.array([0, 1, -1])), xp.complex64)
    turned = xp.ones_like(blocks)
    for _ in range(PASSES):
        now = blocks * turned
        smooth = gaussian(now.real, width) + 1j * gaussian(now.imag, width)
        miss = now * smooth.conj()
        turned *= one_turn[xp.stack([(miss * turn).real for turn in one_turn]).argmax(axis=0)]
    return _expanded(turned, factors, offset.shape).conj()


def _turns_off(
    phase: Array, first: Array, images: Array, echo_times_s: Sequence[float]
) -> np.float32:
    """Turns to take off the unwrapped phase between two echoes, so that the third agrees."""
    if len(echo_times_s) < 3:
        return np.float32(0)
    xp = array_module(phase)
    step = -(-len(phase) // MOST_PLANES)
    growth = _growth(first, images, 2, step)
    times = echo_times_s[:3]
    longer = (times[2] - times[0]) / (times[1] - times[0])
    miss = (growth * _phasor(phase[::step] * np.float32(-longer))).sum()
    miss /= xp.maximum(xp.abs(growth).sum(), TINY)
    return np.float32(free_turns(complex(miss), longer))
