"""How the samples of a readout lie about k = 0, and how many a whole readout has."""

from __future__ import annotations

from typing import Any, NamedTuple

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.kspace.readout import forward
from gadgetron_qsm.mrd.header import Header

MOST_BEYOND = 0.25  # of a whole readout, that samples may lie beyond it
SAME_FOV = 0.01  # relative

Extent = tuple[float, float]


class Sampling(NamedTuple):
    """What the head of a readout tells of its samples, and its encoding space."""

    samples: int
    center: int
    discard: tuple[int, int]
    reverse: bool
    space: int


def whole_readout(header: Header, sampling: Sampling) -> tuple[int, int]:
    """Return how many samples a whole readout has, and how many voxels of them are kept.

    These are the same where somebody before us has taken off the oversampling, as readouts tell
    that reach no farther from k = 0. Raises QsmError for a space of another field of view than
    that of the image.
    """
    encoded, kept = header.encoded_matrix[2], header.native_volume[0][2]
    own = kept
    if sampling.space:
        encoding = header.document.encoding[sampling.space]
        fov_mm = _require_fov(encoding.encodedSpace.fieldOfView_mm, header)
        cropped = min(1.0, encoding.reconSpace.fieldOfView_mm.x / fov_mm.x)
        own = max(1, round(encoding.encodedSpace.matrixSize.x * cropped))
    farthest = max(sampling.center, sampling.samples - sampling.center)
    return (kept if farthest <= (own + 1) // 2 else encoded), kept


def extent(sampling: Sampling, encoded: int) -> Extent:
    """Where readouts begin and end about k = 0, in parts of a whole one of `encoded` samples.

    Raises QsmError when they lie so far aside that their centre must be wrong.
    """
    samples, center_sample, discard, reverse, _ = sampling
    first, stop, center = forward(samples, center_sample, discard, reverse)
    below, above = center - first, stop - 1 - center
    beyond = max(below - encoded // 2, 0) + max(above - (encoded - 1) // 2, 0)
    one_sided = min(below, above) == 0 and max(below, above) > 1
    if one_sided or beyond > MOST_BEYOND * encoded:
        raise QsmError(
            f"k = 0 is said to be sample {center_sample} of {samples} of a readout, with "
            f"{discard[0]} before and {discard[1]} behind to discard; correct its center_sample"
        )
    return -below / encoded, above / encoded


def misfit(error: ValueError) -> QsmError:
    """What is told of readouts that cannot be those of the header."""
    return QsmError(
        f"the raw data does not fit its header: {error}; convert it again, or correct the header"
    )


def _require_fov(fov_mm: Any, header: Header) -> Any:
    theirs, ours = (fov_mm.z, fov_mm.y, fov_mm.x), header.encoded_fov_mm
    axes = range(3) if header.slices is None else (1, 2)  # a slice may be thicker
    if any(abs(theirs[axis] - ours[axis]) > SAME_FOV * ours[axis] for axis in axes):
        raise QsmError(
            f"the calibration scan has a field of view of {theirs} mm (z, y, x), and the image of "
            f"{ours} mm; scan both with the same"
        )
    return fov_mm
