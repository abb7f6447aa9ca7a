"""How large the messages of a scan may be: as its header has it, with room to spare."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.safe_xml import local_name, parse_xml

MOST_VOXELS = 1 << 14  # along an axis, and
MOST_COILS = 1024  # of a scan: no scanner has more
WHAT = "the MRD header"

_COMPLEX, _LARGEST_PIXEL = 8, 16  # bytes
_SPARE_COILS = 2  # times those that the header names: a noise scan may have more than the image
_SPARE_SAMPLES = 8  # times those of a readout: noise and navigators are no part of the matrix
_FEWEST_SAMPLES = 1 << 14  # that are allowed whatever the matrix
_SPARE_VOXELS = 8  # times those of the matrix: oversampled, or interpolated along three axes
_FEWEST_BYTES = 64 << 20  # of images and arrays, that are allowed whatever the matrix
_COUNTERS = ("contrast", "repetition", "slice", "average", "set", "phase")


@dataclass(frozen=True)
class Limits:
    """Most bytes of the data of a readout or waveform, of an image's pixels, of a whole aggregate.

    Aggregates are Gadgetron's messages of many: buckets, image arrays, and buffers of as many
    `encodings` at most. The defaults hold where no header tells more. Of texts and DICOM files the
    limits are those of primitives.py, whatever the scan.
    """

    readout: int = 256 << 20  # 128 coils x 8192 samples are 8 MiB
    image: int = 64 << 30
    array: int = 64 << 30  # 5 echoes x 64 coils x 320 x 320 x 208 are 51 GiB
    encodings: int = 64

    @classmethod
    def of_header(cls, text: str) -> Limits:
        """Return what a scan with such a header may send.

        A header that `require_sane` refuses limits nothing; whoever uses it will find out.
        """
        try:
            root = parse_xml(text.rstrip("\0\r\n "), WHAT)
            matrices, coils = list(_matrices(root)), _coils(root) or MOST_COILS
            _check(matrices, coils)
        except QsmError:
            return cls()
        if not matrices:
            return cls()
        voxels = _SPARE_VOXELS * max(math.prod(matrix) for matrix in matrices)
        samples = max(_FEWEST_SAMPLES, _SPARE_SAMPLES * max(matrix[0] for matrix in matrices))
        coils = min(MOST_COILS, _SPARE_COILS * coils)
        images = math.prod(_counted(root, counter) for counter in _COUNTERS)
        image = max(_FEWEST_BYTES, _LARGEST_PIXEL * coils * voxels)
        return cls(
            readout=min(cls.readout, _COMPLEX * coils * samples),
            image=min(cls.image, image),
            array=min(cls.array, image * images),
            encodings=max(1, sum(local_name(e) == "encoding" for e in root)),
        )


def require_sane(text: str) -> None:
    """Raise QsmError for a header that is no XML, or has sizes that no scanner has.

    Nothing has been allocated then, not even for its elements.
    """
    root = parse_xml(text, WHAT)
    _check(list(_matrices(root)), _coils(root))


def _check(matrices: list[tuple[int, int, int]], coils: int) -> None:
    for matrix in matrices:
        if max(matrix) > MOST_VOXELS:
            sizes = " x ".join(str(n) for n in matrix)
            raise QsmError(
                f"{WHAT} has a matrix of {sizes}; at most {MOST_VOXELS} along an axis are accepted"
            )
    if coils > MOST_COILS:
        raise QsmError(f"{WHAT} has {coils} receiver channels; at most {MOST_COILS} are accepted")


def _matrices(root: Element) -> Iterator[tuple[int, int, int]]:
    for element in root.iter():
        if local_name(element) == "matrixSize":
            x, y, z = (_number(element, axis) for axis in "xyz")
            yield x, y, z


def _coils(root: Element) -> int:
    """Return how many receivers the header names; 0 for none."""
    return max((_value(e) for e in root.iter() if local_name(e) == "receiverChannels"), default=0)


def _counted(root: Element, counter: str) -> int:
    """Return how many of a counter the encoding limits allow, at least one."""
    limits = (e for e in root.iter() if local_name(e) == counter)
    return 1 + max((_number(limit, "maximum") for limit in limits), default=0)


def _number(element: Element, name: str) -> int:
    return next((_value(child) for child in element if local_name(child) == name), 0)


def _value(element: Element) -> int:
    """Return a number; 0 for a text that is none, which others refuse."""
    try:
        return max(0, int(element.text or ""))
    except ValueError:
        return 0
