"""The data set in a DICOM file, as an association carries it (PS3.10 7, PS3.5 7.1)."""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

PREAMBLE = 128
META = b"DICM\x02\x00\x00\x00UL\x04\x00"  # prefix, and the group length that comes first


def data_set(file: bytes) -> memoryview:
    """Return the data set as it stands in a Part 10 file, behind the file meta information.

    It is a view of `file`, which may be large. Raises ValueError when `file` is none.
    """
    if file[PREAMBLE : PREAMBLE + len(META)] != META:
        raise ValueError("not a DICOM file")
    start = PREAMBLE + len(META)
    (length,) = struct.unpack_from("<I", file, start)
    return memoryview(file)[start + 4 + length :]


def encoded_as(file: bytes, syntax: str) -> bytes:
    """Encode the data set of a Part 10 file anew, in a little endian `syntax`, uncompressed.

    Raises ValueError when `file` is none.
    """
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax == ImplicitVRLittleEndian
    data_set(file)
    write_dataset(buffer, dcmread(BytesIO(file)))
    return buffer.getvalue()
