"""How the scan was made: scanner and sequence, from the MRD header."""

from __future__ import annotations

from pydicom import Dataset

from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.values import decimal, text
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.header import Header


def add_scanner(dataset: Dataset, header: Header) -> None:
    """Set the General Equipment module and the field; the equipment stays the scanner."""
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
    nominal = system and system.systemFieldStrength_T
    dataset.MagneticFieldStrength = decimal(nominal or round(header.field_strength_t, 3))
    dataset.ImagingFrequency = decimal(header.larmor_hz / 1e6)
    dataset.ImagedNucleus = "1H"


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
    dataset.EchoTrainLength = encoding.echoTrainLength
    if volume.echo is not None:
        dataset.EchoNumbers = volume.echo + 1
    if parameters.flipAngle_deg:
        dataset.FlipAngle = decimal(parameters.flipAngle_deg[0])
    if header.repetitions > 1:
        dataset.TemporalPositionIdentifier = volume.repetition + 1
        dataset.NumberOfTemporalPositions = header.repetitions
    _add_names(dataset, header)


def slice_thickness_mm(geometry: Geometry, header: Header) -> float:
    """Thickness of a slice: its own in a 2D scan, whose slices may have gaps, else the spacing.

    The field of view of a 2D scan is one slice's along z; one as thick as the whole stack is the
    stack's.
    """
    spacing, thickness = geometry.voxel_size[0], header.recon_fov_mm[0]
    of_one_slice = header.slices is not None and thickness < spacing * geometry.matrix[0]
    return thickness if of_one_slice else spacing


def _add_names(dataset: Dataset, header: Header) -> None:
    measurement = header.document.measurementInformation
    if measurement and measurement.protocolName:
        dataset.ProtocolName = text(measurement.protocolName, 64)
    if measurement and measurement.sequenceName:
        dataset.SequenceName = text(measurement.sequenceName, 16)
