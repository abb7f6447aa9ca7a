"""The MRD header of a simulated scan: schema of ISMRMRD 1.x, all patient data invented."""

from __future__ import annotations

import uuid

from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <subjectInformation>
    <patientName>PHANTOM^DIGITAL HEAD</patientName>
    <patientID>PHANTOM-{seed}</patientID>
    <patientBirthdate>2000-01-01</patientBirthdate>
    <patientGender>O</patientGender>
  </subjectInformation>
  <studyInformation>
    <studyDate>2026-01-01</studyDate>
    <studyTime>12:00:00</studyTime>
    <studyID>1</studyID>
    <accessionNumber>0</accessionNumber>
    <studyDescription>Simulated head</studyDescription>
    <studyInstanceUID>{study_uid}</studyInstanceUID>
  </studyInformation>
  <measurementInformation>
    <measurementID>simulated_{seed}_1</measurementID>
    <seriesDate>2026-01-01</seriesDate>
    <seriesTime>12:01:00</seriesTime>
    <patientPosition>HFS</patientPosition>
    <initialSeriesNumber>1</initialSeriesNumber>
    <protocolName>gre3d_multiecho_simulated</protocolName>
    <frameOfReferenceUID>{frame_uid}</frameOfReferenceUID>
  </measurementInformation>
  <acquisitionSystemInformation>
    <systemVendor>SIMULATED</systemVendor>
    <systemModel>gadgetron-qsm phantom</systemModel>
    <systemFieldStrength_T>{field_strength_t:.6g}</systemFieldStrength_T>
    <relativeReceiverNoiseBandwidth>1.0</relativeReceiverNoiseBandwidth>
    <receiverChannels>{coils}</receiverChannels>
    <institutionName>nowhere</institutionName>
  </acquisitionSystemInformation>
  <experimentalConditions>
    <H1resonanceFrequency_Hz>{larmor_hz}</H1resonanceFrequency_Hz>
  </experimentalConditions>
  <encoding>
    <encodedSpace>{encoded}</encodedSpace>
    <reconSpace>{recon}</reconSpace>
    <encodingLimits>{limits}</encodingLimits>
    <trajectory>cartesian</trajectory>
    <echoTrainLength>1</echoTrainLength>
  </encoding>
  <sequenceParameters>
    <TR>{tr_ms:.6g}</TR>
    {te}
    <flipAngle_deg>{flip_angle_deg:.6g}</flipAngle_deg>
  </sequenceParameters>
</ismrmrdHeader>
"""


def header_xml(scan: Scan, grid: Grid) -> str:
    """Header of a scan: lengths in mm, times in ms, frequency in Hz."""
    nz, ny, nx = grid.matrix
    z, y, x = grid.fov_mm
    counters = {
        "kspace_encoding_step_1": (ny, ny // 2),
        "kspace_encoding_step_2": (nz, nz // 2),
        "slice": (1, 0),
        "contrast": (len(scan.echo_times_s), 0),
    }
    return HEADER.format(
        seed=scan.seed,
        study_uid=_uid(scan, "study"),
        frame_uid=_uid(scan, "frame of reference"),
        field_strength_t=scan.field_strength_t,
        coils=scan.coils,
        larmor_hz=scan.larmor_hz,
        encoded=_space((READOUT_OVERSAMPLING * nx, ny, nz), (READOUT_OVERSAMPLING * x, y, z)),
        recon=_space((nx, ny, nz), (x, y, z)),
        limits="".join(_limit(name, *counter) for name, counter in counters.items()),
        tr_ms=scan.tr_s * 1000,
        te="".join(f"<TE>{te * 1000:.6g}</TE>" for te in scan.echo_times_s),
        flip_angle_deg=scan.flip_angle_deg,
    )


def _uid(scan: Scan, what: str) -> str:
    """DICOM identifier that the scan's parameters decide (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{what} of {scan}').int}"


def _space(matrix: tuple[int, int, int], fov_mm: tuple[float, float, float]) -> str:
    sizes, lengths = (
        "".join(f"<{axis}>{value:.8g}</{axis}>" for axis, value in zip("xyz", values, strict=True))
        for values in (matrix, fov_mm)
    )
    return f"<matrixSize>{sizes}</matrixSize><fieldOfView_mm>{lengths}</fieldOfView_mm>"


def _limit(name: str, count: int, center: int) -> str:
    values = f"<minimum>0</minimum><maximum>{count - 1}</maximum><center>{center}</center>"
    return f"<{name}>{values}</{name}>"
