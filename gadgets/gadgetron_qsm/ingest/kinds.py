"""What a readout is for, by its flags."""

from __future__ import annotations

from enum import Enum, auto

import ismrmrd

from gadgetron_qsm.mrd.gathered import is_calibration_alone
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Record


class Kind(Enum):
    """What a readout is for."""

    NOISE = auto()
    CALIBRATION = auto()  # of parallel imaging, and no part of the image
    IMAGE = auto()
    ASIDE = auto()  # navigators and the like: no part of the image


def _flags(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


REVERSE = _flags(ismrmrd.ACQ_IS_REVERSE)
_NOISE = _flags(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
_ASIDE = _flags(
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    30,  # phase stabilisation reference, and
    31,  # phase stabilisation: nameless in older ismrmrd
)


def kind_of(head: Record, header: Header) -> Kind:
    """Tell what a readout is for.

    Lines for calibration alone belong to the image too where they are embedded in the scan;
    readouts of an encoding space other than the first are for calibration, or set aside.
    """
    flags = int(head["flags"])
    if flags & _NOISE:
        return Kind.NOISE
    if flags & _ASIDE:
        return Kind.ASIDE
    elsewhere = int(head["encoding_space_ref"]) != 0
    if is_calibration_alone(head) and (elsewhere or header.calibration_apart):
        return Kind.CALIBRATION
    return Kind.ASIDE if elsewhere else Kind.IMAGE
