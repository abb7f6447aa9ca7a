"""The MRD header of a simulated scan: schema of ISMRMRD 1.x, all patient data invented."""

from __future__ import annotations

import uuid

from gadgetron_qsm.phantom.pattern import encoded_lines, first_lines
from gadgetron_qsm.phantom.readout import full_samples
from gadgetron_qsm.phantom.sampling import Grid
from gadgetron_qsm.phantom.scan import READOUT_OVERSAMPLING, Scan

OPTIONAL_LIMITS = ("average", "repetition")  # where there is one only
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
    <protocolName>gre{dimensions}d_multiecho_simulated</protocolName>
    <frameOfReferenceUID>{frame_uid}</frameOfReferenceUID>
  </measurementInformation>
  <acquisitionSystemInformation>
    <systemVendor>SIMULATED</systemVendor>
    <systemModel>gadgetron-qsm phantom</systemModel>
    <systemFieldStrength_T>{field_strength_t:.6g}</systemFieldStrength_T>
    <relativeReceiverNoiseBandwidth>1.0</relativeReceiverNoiseBandwidth>
    <receiverChannels>{coils}</receiverChannels>{labels}
    <institutionName>nowhere</institutionName>
  </acquisitionSystemInformation>
  <experimentalConditions>
    <H1resonanceFrequency_Hz>{larmor_hz}</H1resonanceFrequency_Hz>
  </experimentalConditions>
  <encoding>
    <encodedSpace>{encoded}</encodedSpace>
    <reconSpace>{recon}</reconSpace>
    <encodingLimits>{limits}</encodingLimits>
    <trajectory>cartesian</trajectory>{parallel}
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
    encoded, shown = _spaces(scan, grid)
    return HEADER.format(
        seed=scan.seed,
        study_uid=_uid(scan, "study"),
        frame_uid=_uid(scan, "frame of reference"),
        dimensions=2 if scan.slices else 3,
        field_strength_t=scan.field_strength_t,
        coils=scan.coils,
        labels=_labels(scan),
        larmor_hz=scan.larmor_hz,
        encoded=encoded,
        recon=shown,
        limits="".join(_limit(*limit) for limit in _limits(scan, grid)),
        parallel=_parallel(scan),
        tr_ms=scan.tr_s * 1000,
        te="".join(f"<TE>{te * 1000:.6g}</TE>" for te in scan.echo_times_s),
        flip_angle_deg=scan.flip_angle_deg,
    )


def _spaces(scan: Scan, grid: Grid) -> tuple[str, str]:
    """Return the space that is encoded, and the part of it that is shown."""
    (nz, ny, nx), (z, y, x) = grid.matrix, grid.fov_mm
    if scan.slices:
        nz, z = 1, scan.voxel_size_mm[0]
    lines_z, lines_y = encoded_lines(scan.sampling, (nz, ny, nx))
    encoded_mm = (READOUT_OVERSAMPLING * x, y * lines_y / ny, z * lines_z / nz)
    encoded = _space((full_samples(nx), lines_y, lines_z), encoded_mm)
    return encoded, _space((nx, ny, nz), (x, y, z))


def _limits(scan: Scan, grid: Grid) -> list[tuple[str, int, int]]:
    """Counters of readouts: name, how many values, which one is the centre."""
    sampling, slices = scan.sampling, grid.matrix[0] if scan.slices else 1
    lines_z, lines_y = encoded_lines(sampling, grid.matrix)
    first_z, first_y = first_lines(sampling, (lines_z, lines_y))
    along_z = (1, 0) if scan.slices else (lines_z - first_z, lines_z // 2 - first_z)
    limits = [
        ("kspace_encoding_step_1", lines_y - first_y, lines_y // 2 - first_y),
        ("kspace_encoding_step_2", *along_z),
        ("average", sampling.averages, 0),
        ("slice", slices, 0),
        ("contrast", len(scan.echo_times_s), 0),
        ("repetition", sampling.repetitions, 0),
    ]
    return [limit for limit in limits if limit[1] > 1 or limit[0] not in OPTIONAL_LIMITS]


def _parallel(scan: Scan) -> str:
    """Return the section on parallel imaging of a scan that is accelerated or calibrated."""
    factors, calibration = scan.sampling.acceleration, scan.sampling.calibration
    if factors == (1, 1) and calibration == "none":
        return ""
    mode = "other" if calibration == "none" else calibration
    steps = (("kspace_encoding_step_1", factors[1]), ("kspace_encoding_step_2", factors[0]))
    values = "".join(f"<{name}>{factor}</{name}>" for name, factor in steps)
    return f"""
    <parallelImaging>
      <accelerationFactor>{values}</accelerationFactor>
      <calibrationMode>{mode}</calibrationMode>
    </parallelImaging>"""


def _labels(scan: Scan) -> str:
    """Return names of the channels that see the image, where the noise scan has others."""
    if not scan.extras.idle_channels:
        return ""
    return "".join(
        f"\n    <coilLabel><coilNumber>{channel}</coilNumber><coilName>HC{channel + 1}</coilName>"
        "</coilLabel>"
        for channel in scan.channels.tolist()
    )


def _uid(scan: Scan, what: str) -> str:
    """DICOM identifier that the scan's parameters decide (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{what} of {scan}{scan.variation}').int}"


def _space(matrix: tuple[int, int, int], fov_mm: tuple[float, float, float]) -> str:
    sizes, lengths = (
        "".join(f"<{axis}>{value:.8g}</{axis}>" for axis, value in zip("xyz", values, strict=True))
        for values in (matrix, fov_mm)
    )
    return f"<matrixSize>{sizes}</matrixSize><fieldOfView_mm>{lengths}</fieldOfView_mm>"


def _limit(name: str, count: int, center: int) -> str:
    values = f"<minimum>0</minimum><maximum>{count - 1}</maximum><center>{center}</center>"
    return f"<{name}>{values}</{name}>"
