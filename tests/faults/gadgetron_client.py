"""A stand-in for gadgetron_ismrmrd_client in front of our server, by how it was seen to behave.

It sends a configuration's text or name, the header, the readouts and CLOSE, and prints texts and
errors. Any other kind of message, and an end without CLOSE, it takes for a failure; its HDF5 file
holds images of one shape for each series index, and it aborts at another.
"""

from __future__ import annotations

import struct

from tests.faults.python_client import CLOSE, IMAGE, TEXT, PythonClient

ERROR = 8


class GadgetronClient(PythonClient):
    """Sends a scan's messages; `failures` is why it would not have ended well."""

    @property
    def failures(self) -> list[str]:
        found = [f"unknown message id {kind}" for kind in self.unknown]
        shapes: dict[int, tuple[int, ...]] = {}
        for image in self.images:
            series, shape = image.image_series_index, image.data.shape
            if shapes.setdefault(series, shape) != shape:
                found.append(f"series {series} has images of {shapes[series]} and {shape}")
        return found if self.closed or found else ["the connection ended"]

    def _read_message(self, kind: int, stream) -> None:
        if kind == ERROR:
            (size,) = struct.unpack("<Q", stream.read(8))
            self.texts.append(stream.read(size).decode())
        elif kind in (CLOSE, IMAGE, TEXT):
            super()._read_message(kind, stream)
        else:
            self.unknown.append(kind)
