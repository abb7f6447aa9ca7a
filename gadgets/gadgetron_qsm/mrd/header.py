"""The MRD header: what the scan is, in the units that the rest of the package uses."""

from __future__ import annotations

import contextlib
import logging
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ismrmrd
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry

log = logging.getLogger(__name__)

LARMOR_HZ_PER_T = 42.577478518e6  # CODATA 2018, proton
LAST_ECHO_TIME_MS = (0.5, 1000.0)  # shorter: seconds were written; longer: microseconds
# PS3.3 C.7.3.1.1.2: the patient lies along the bore, or across it
ALONG_THE_BORE = ("HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL")
ACROSS_THE_BORE = ("LFP", "LFS", "RFP", "RFS", "AFDR", "AFDL", "PFDR", "PFDL")


@dataclass(frozen=True)
class Limit:
    """Range of an encoding counter, and the value that is k = 0."""

    minimum: int
    maximum: int
    center: int


@dataclass(frozen=True)
class Header:
    """The header of one scan. Matrices and fields of view are (z, y, x); mm, s, Hz.

    `document` is the parsed header (ismrmrd.xsd.ismrmrdHeader) for patient, study and protocol.
    `series_offset` is what the numbers of our series are above, see dicom.identity.series_number.
    """

    echo_times_s: tuple[float, ...]
    larmor_hz: float
    encoded_matrix: tuple[int, int, int]
    encoded_fov_mm: tuple[float, float, float]
    recon_matrix: tuple[int, int, int]
    recon_fov_mm: tuple[float, float, float]
    limits: dict[str, Limit]
    text: str
    document: Any
    series_offset: int = 1_000_000

    @classmethod
    def parse(cls, text: str) -> Header:
        """Read an MRD header; raise QsmError for one that no susceptibility map can come from."""
        text = text.rstrip("\0\r\n ")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they quote values, of patients too
                document = ismrmrd.xsd.CreateFromDocument(text.encode())
        except Exception as error:  # xsdata raises whatever the broken text leads it to
            raise QsmError(f"the MRD header is not valid XML of ISMRMRD: {_line(error)}") from error
        if not document.encoding:
            raise QsmError("the MRD header has no <encoding>; convert the raw data again")
        encoding = document.encoding[0]
        trajectory = encoding.trajectory.value
        if trajectory != "cartesian":
            raise QsmError(f"trajectory '{trajectory}' is not supported; only cartesian scans are")
        if _position_term(document) in ACROSS_THE_BORE:
            raise QsmError(
                f"the patient lies across the bore (patientPosition {_position_term(document)}), "
                "where B0 is not along the patient's z axis; such scans are not supported"
            )
        limits = _limits(encoding.encodingLimits)
        return cls(
            echo_times_s=_echo_times_s(document, limits.get("contrast")),
            larmor_hz=_larmor_hz(document),
            encoded_matrix=_zyx(encoding.encodedSpace.matrixSize),
            encoded_fov_mm=_zyx(encoding.encodedSpace.fieldOfView_mm),
            recon_matrix=_zyx(encoding.reconSpace.matrixSize),
            recon_fov_mm=_zyx(encoding.reconSpace.fieldOfView_mm),
            limits=limits,
            text=text,
            document=document,
        )

    @property
    def field_strength_t(self) -> float:
        """B0 in tesla, from the imaging frequency."""
        return self.larmor_hz / LARMOR_HZ_PER_T

    @property
    def patient_position(self) -> str:
        """DICOM's term for how the patient lies in the bore; "" for none, or one that is none."""
        term = _position_term(self.document)
        if term and term not in ALONG_THE_BORE:
            log.info("the MRD header's patientPosition is no term of DICOM; left out")
            return ""
        return term

    @property
    def native_volume(self) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
        """Matrix and field of view (z, y, x; mm) without oversampling, in voxels as encoded.

        Slices of a 2D scan lie side by side in it, without the gaps that their positions tell.
        """
        sizes, extents = [], []
        for n, encoded, recon in zip(
            self.encoded_matrix, self.encoded_fov_mm, self.recon_fov_mm, strict=True
        ):
            sizes.append(min(n, max(1, round(n * recon / encoded))))
            extents.append(encoded / n * sizes[-1])
        if self.slices is not None:
            sizes[0], extents[0] = self.slices, self.slices * extents[0]
        return (sizes[0], sizes[1], sizes[2]), (extents[0], extents[1], extents[2])

    @property
    def acceleration(self) -> tuple[int, int]:
        """Parallel imaging's factors along (z, y), 1 where there is none."""
        imaging = self.document.encoding[0].parallelImaging
        factor = imaging and imaging.accelerationFactor
        if not factor:
            return 1, 1
        return int(factor.kspace_encoding_step_2), int(factor.kspace_encoding_step_1)

    @property
    def calibration_apart(self) -> bool:
        """Whether lines for calibration alone come from a scan of their own, not this one."""
        imaging = self.document.encoding[0].parallelImaging
        mode = imaging and imaging.calibrationMode
        return bool(mode) and mode.value in ("separate", "external")

    @property
    def slices(self) -> int | None:
        """Number of slices of a 2D scan; None for a 3D scan."""
        return self._counted("slice") if self.encoded_matrix[0] == 1 else None

    @property
    def repetitions(self) -> int:
        """How many times the volume is scanned, to be seen one by one."""
        return self._counted("repetition")

    @property
    def averages(self) -> int:
        """How many times each line is scanned, to be averaged."""
        return self._counted("average")

    def _counted(self, counter: str) -> int:
        return self.limits[counter].maximum + 1 if counter in self.limits else 1

    def limit(self, counter: str) -> Limit:
        """Range of kspace_encode_step_1 or _2; the whole matrix where the header has none."""
        size = self.encoded_matrix[1 if counter.endswith("1") else 0]
        return self.limits.get(counter, Limit(0, size - 1, size // 2))

    def center(self, counter: str, space: int) -> int:
        """Return k = 0 of kspace_encode_step_1 or _2 in an encoding space, 0 being the image's.

        Raises QsmError for a space that the header does not have.
        """
        if space == 0:
            return self.limit(counter).center
        if space >= len(self.document.encoding):
            raise QsmError(
                f"a readout is of encoding space {space}, but the MRD header has "
                f"{len(self.document.encoding)}"
            )
        encoding = self.document.encoding[space]
        size = _zyx(encoding.encodedSpace.matrixSize)[1 if counter.endswith("1") else 0]
        return _limits(encoding.encodingLimits).get(counter, Limit(0, 0, size // 2)).center

    def geometry(
        self,
        head: Any,
        matrix: tuple[int, int, int] | None = None,
        fov_mm: Sequence[float] | None = None,
    ) -> Geometry:
        """Geometry of the reconstructed volume, oriented as `head` (acquisition or image) says.

        `matrix` and `fov_mm` (z, y, x) default to the header's reconSpace.
        """
        matrix = matrix or self.recon_matrix
        fov_mm = fov_mm or self.recon_fov_mm
        z, y, x = (float(size / n) for size, n in zip(fov_mm, matrix, strict=True))
        return Geometry(
            matrix=matrix,
            voxel_size=(z, y, x),
            position=_triple(head["position"]),
            read_dir=_triple(head["read_dir"]),
            phase_dir=_triple(head["phase_dir"]),
            slice_dir=_triple(head["slice_dir"]),
        )


def fingerprint(head: Any, came_as: str, data: NDArray | None = None) -> dict[str, Any]:
    """Return what tells a scan from another with the same header, and where the table stood.

    `head` and `data` are those of its first acquisition or image, whose position is relative to the
    table's. Where neither number nor time is in the head, as some converters leave it, the samples
    tell: no two scans have equal noise.
    """
    table = [float(x) for x in head["patient_table_position"]]
    found: dict[str, Any] = {
        "method": came_as,
        "measurement_uid": int(head["measurement_uid"]),
        "first_time_stamp": int(head["acquisition_time_stamp"]),
        **({"table_position_mm": table} if any(table) else {}),
    }
    if data is not None and not (found["measurement_uid"] or found["first_time_stamp"]):
        found["first_samples"] = f"{zlib.crc32(data.tobytes()):08x}"
    return found


def _position_term(document: Any) -> str:
    measurement = document.measurementInformation
    position = measurement and measurement.patientPosition
    # xsdata gives an enumerated value, or the text where it is none of them
    return str(getattr(position, "value", position) or "").strip().upper()


def quoted_values(text: str) -> int:
    """Count the values that are not what the schema wants: who parses the header is shown them.

    xsdata warns of each, quoting it, and ismrmrd has Python print warnings whatever its options.
    0 for a header that cannot be parsed.
    """
    with warnings.catch_warnings(record=True) as caught, contextlib.suppress(Exception):
        warnings.simplefilter("always")
        ismrmrd.xsd.CreateFromDocument(text.rstrip("\0\r\n ").encode())
    return len(caught)


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _zyx(triple: Any) -> tuple[Any, Any, Any]:
    values = (triple.z, triple.y, triple.x)
    if not all(_number(value) > 0 for value in values):
        raise QsmError(f"the MRD header has a matrix or field of view of {values} (z, y, x)")
    return values


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _limits(limits: Any) -> dict[str, Limit]:
    named = {
        "kspace_encode_step_1": limits and limits.kspace_encoding_step_1,
        "kspace_encode_step_2": limits and limits.kspace_encoding_step_2,
        "average": limits and limits.average,
        "slice": limits and limits.slice,
        "repetition": limits and limits.repetition,
        "contrast": limits and limits.contrast,
    }
    return {k: Limit(v.minimum, v.maximum, v.center) for k, v in named.items() if v}


def _echo_times_s(document: Any, contrast: Limit | None) -> tuple[float, ...]:
    parameters = document.sequenceParameters
    times = [float(te) for te in parameters.TE] if parameters else []
    if not times:
        raise QsmError("the MRD header has no echo times (sequenceParameters.TE); add them in ms")
    shortest, longest = LAST_ECHO_TIME_MS
    if min(times) <= 0 or sorted(set(times)) != times or not shortest < times[-1] < longest:
        raise QsmError(f"echo times {times} are wrong: they must increase, and must be in ms")
    if contrast and contrast.maximum + 1 != len(times):
        raise QsmError(
            f"the MRD header names {len(times)} echo times but {contrast.maximum + 1} contrasts; "
            "correct sequenceParameters.TE or encodingLimits.contrast"
        )
    return tuple(te / 1000 for te in times)


def _number(value: Any) -> float:
    """Return a value of the header, which is text when it is of another type than it should be."""
    try:
        return float(value or 0)
    except ValueError as error:
        raise QsmError("the MRD header has a text where a number must be") from error


def _larmor_hz(document: Any) -> float:
    conditions, system = document.experimentalConditions, document.acquisitionSystemInformation
    frequency_hz = _number(conditions and conditions.H1resonanceFrequency_Hz)
    if frequency_hz > 0:
        return frequency_hz
    field_strength_t = _number(system and system.systemFieldStrength_T)
    if field_strength_t > 0:
        return field_strength_t * LARMOR_HZ_PER_T
    raise QsmError(
        "the MRD header has no field strength; fill in H1resonanceFrequency_Hz "
        "(or acquisitionSystemInformation.systemFieldStrength_T)"
    )
