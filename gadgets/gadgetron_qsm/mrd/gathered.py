"""The readouts in what Gadgetron gathers them in: buckets and reconstruction buffers."""

from __future__ import annotations

from collections.abc import Iterator

import ismrmrd
import numpy as np

from gadgetron_qsm.mrd.messages import (
    Acquisition,
    Bucket,
    Message,
    ReconBuffer,
    ReconData,
    Record,
)

_CALIBRATION = 1 << (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION - 1)
_CALIBRATION_AND_IMAGING = 1 << (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING - 1)


def is_calibration_alone(head: Record) -> bool:
    """Tell whether a line was acquired for parallel imaging's calibration and not for the image."""
    flags = int(head["flags"])
    return bool(flags & _CALIBRATION) and not flags & _CALIBRATION_AND_IMAGING


def readouts_of(message: Message) -> Iterator[Acquisition]:
    """Give each readout of a message once; none of a message that has none."""
    if isinstance(message, Acquisition):
        yield message
    elif isinstance(message, Bucket):
        yield from message.data
        yield from (x for x in message.reference if is_calibration_alone(x.head))
    elif isinstance(message, ReconData):
        yield from _buffered_lines(message)


def _buffered_lines(recon: ReconData) -> Iterator[Acquisition]:
    """Take the lines out of Gadgetron's buffers (E0, E1, E2, coil, N, S, LOC).

    The buffer has placed each line's samples, whatever the line's own header says of them.
    Reference lines come first: what they are for is known when the image's come.
    """
    for space, (data, reference) in enumerate(recon.bits):
        if reference:
            yield from (x for x in _lines(reference, space) if is_calibration_alone(x.head))
        yield from _lines(data, space)


def _lines(buffer: ReconBuffer, space: int) -> Iterator[Acquisition]:
    headers = buffer.headers
    repetitions = headers["idx"]["repetition"].ravel(order="F")  # along any axis, but one by one
    for number in np.argsort(repetitions, kind="stable"):
        at = np.unravel_index(number, headers.shape, order="F")
        head = headers[at].copy()
        if head["number_of_samples"]:
            head["number_of_samples"] = buffer.data.shape[0]
            head["center_sample"] = buffer.sampling["limits"][0][1]
            head["discard_pre"] = head["discard_post"] = 0
            head["encoding_space_ref"] = space
            e1, e2, *rest = at
            line = buffer.data[(slice(None), e1, e2, slice(None), *rest)]
            yield Acquisition(head, np.ascontiguousarray(line.T))
