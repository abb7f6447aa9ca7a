"""How the scan was made: scanner and sequence, from the MRD header."""

from __future__ import annotations

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.values import decimal, text
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header

NUCLEUS = "1H"


def add_scanner(dataset: Dataset, header: Header) -> None:
    """Set the General Equipment module, which stays the scanner's, and the protocol's name."""
    system = header.document.acquisitionSystemInformation
    dataset.Manufacturer = text(system and system.systemVendor, 64)
    named = {
        "ManufacturerModelName": system and system.systemModel,
        "InstitutionName": system and system.institutionName,
        "DeviceSerialNumber": system and system.deviceSerialNumber,
    }
    for keyword, value in named.items():
        if value:
            setattr(dataset, keyword, text(value, 64))
    if system and system.stationName:
        dataset.StationName = text(system.stationName, 16)
    measurement = header.document.measurementInformation
    if measurement and measurement.protocolName:
        dataset.ProtocolName = text(measurement.protocolName, 64)


def add_sequence(dataset: Dataset, volume: Map, header: Header) -> None:
    """Set the sequence's part of the MR Image module.

    EchoTime (ms) is that of a map of one echo, and empty for a map made from several.
    """
    encoding, parameters = header.document.encoding[0], header.document.sequenceParameters
    dataset.ScanningSequence = "GR"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "3D" if header.encoded_matrix[0] > 1 else "2D"
    dataset.RepetitionTime = decimal(parameters.TR[0]) if parameters.TR else None
    echo_time_s = volume.echo_time_s
    dataset.EchoTime = None if echo_time_s is None else decimal(echo_time_s * 1000)
    _add_field(dataset, header)
    dataset.ImagingFrequency = decimal(header.larmor_hz / 1e6)
    dataset.ImagedNucleus = NUCLEUS
    dataset.EchoTrainLength = encoding.echoTrainLength
    if volume.echo is not None:
        dataset.EchoNumbers = volume.echo + 1
    if parameters.flipAngle_deg:
        dataset.FlipAngle = decimal(parameters.flipAngle_deg[0])
    if header.repetitions > 1:
        dataset.TemporalPositionIdentifier = volume.repetition + 1
        dataset.NumberOfTemporalPositions = header.repetitions
    measurement = header.document.measurementInformation
    if measurement and measurement.sequenceName:
        dataset.SequenceName = text(measurement.sequenceName, 16)


def add_echo(dataset: Dataset, groups: Dataset, volume: Map, header: Header) -> None:
    """Set what an enhanced image, and the functional groups of its frames, say of the sequence.

    It is little: TR and flip angle only go with SAR and operating mode, which MRD does not have.
    """
    _add_field(dataset, header)
    dataset.ResonantNucleus = NUCLEUS
    if volume.echo_time_s is not None:
        echo = Dataset()
        echo.EffectiveEchoTime = volume.echo_time_s * 1000
        groups.MREchoSequence = [echo]


def slice_thickness_mm(geometry: Geometry, header: Header) -> float:
    """Thickness of a slice: its own in a 2D scan, whose slices may have gaps, else the spacing.

    The field of view of a 2D scan is one slice's along z; one as thick as the whole stack is the
    stack's.
    """
    spacing, thickness = geometry.voxel_size[0], header.recon_fov_mm[0]
    of_one_slice = header.slices is not None and thickness < spacing * geometry.matrix[0]
    return thickness if of_one_slice else spacing


def _add_field(dataset: Dataset, header: Header) -> None:
    system = header.document.acquisitionSystemInformation
    nominal = system and system.systemFieldStrength_T
    dataset.MagneticFieldStrength = decimal(nominal or round(header.field_strength_t, 3))
