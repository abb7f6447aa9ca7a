"""Messages as bytes, those of Gadgetron too that the package only reads.

Layouts: AcquisitionBucketWriter.cpp, io/primitives.h and io/adapt_struct.h of Gadgetron 4.7.
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np

from gadgetron_qsm.mrd.aggregates import SAMPLING
from gadgetron_qsm.mrd.wire import write_message


def message(sent):
    """Encode a message that the package writes."""
    stream = BytesIO()
    write_message(stream, sent)
    return stream.getvalue()


def bucket(data, reference, waveforms, *, trajectories=None):
    """Encode a bucket: all headers, trajectories, then data."""

    def readouts(items):
        paths = b"".join(a.trajectory.tobytes() for a in items if a.trajectory is not None)
        return (
            b"".join(a.head.tobytes() for a in items),
            paths if trajectories is None else trajectories,
            b"".join(a.data.tobytes() for a in items),
        )

    statistics = struct.pack("<Q", 1) + 9 * struct.pack("<QH", 1, 0)
    heads = b"".join(w.head.tobytes() for w in waveforms)
    values = b"".join(w.data.tobytes() for w in waveforms)
    sizes, body = [], b""
    for items in (data, reference):
        head, path, pixels = readouts(items)
        sizes += [len(items), len(head), len(pixels), len(path)]
        body += head + path + pixels + statistics
    sizes += [len(statistics), len(statistics), len(waveforms), len(heads), len(values)]
    return struct.pack("<H13Q", 1050, *sizes) + body + heads + values


def recon_data(data, headers):
    """Encode one reconstruction buffer: data (E0, E1, E2, coil, N, S, LOC), headers without coil.

    It has neither trajectory, density nor reference lines; k = 0 is at n//2.
    """
    sampling = np.zeros((), SAMPLING)
    sampling["limits"] = [(0, n // 2, n - 1) for n in data.shape[:3]]
    body = array(data) + b"\0\0" + array(headers) + sampling.tobytes() + b"\0"
    return struct.pack("<HQ", 1023, 1) + body


def image_array(data, headers, meta=()):
    """Encode images (x, y, z, channel, N, S, LOC) with headers (N, S, LOC)."""
    texts = b"".join(struct.pack("<Q", len(text)) + text.encode() for text in meta)
    count = struct.pack("<Q", len(meta))
    return struct.pack("<H", 1024) + array(data) + array(headers) + count + texts + b"\0\0"


def array(values):
    """Encode an array: rank, sizes, elements in Fortran order."""
    sizes = struct.pack(f"<Q{values.ndim}Q", values.ndim, *values.shape)
    return sizes + values.tobytes(order="F")
