"""The MRD header: what the scan is, in the units that the rest of the package uses."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.mrd.document import parsed
from gadgetron_qsm.mrd.header_values import LARMOR_HZ_PER_T, echo_times_s, larmor_hz, space, zyx

log = logging.getLogger(__name__)

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
        document = parsed(text)
        encoding = document.encoding[0]
        trajectory = _term(encoding.trajectory)
        if trajectory != "cartesian":
            raise QsmError(f"trajectory '{trajectory}' is not supported; only cartesian scans are")
        if _position_term(document) in ACROSS_THE_BORE:
            raise QsmError(
                f"the patient lies across the bore (patientPosition {_position_term(document)}), "
                "where B0 is not along the patient's z axis; such scans are not supported"
            )
        limits = _limits(encoding.encodingLimits)
        contrast = limits.get("contrast")
        encoded_matrix, encoded_fov_mm = space(encoding.encodedSpace)
        recon_matrix, recon_fov_mm = space(encoding.reconSpace)
        return cls(
            echo_times_s=echo_times_s(document, contrast.maximum + 1 if contrast else None),
            larmor_hz=larmor_hz(document),
            encoded_matrix=encoded_matrix,
            encoded_fov_mm=encoded_fov_mm,
            recon_matrix=recon_matrix,
            recon_fov_mm=recon_fov_mm,
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
        size = zyx(encoding.encodedSpace.matrixSize)[1 if counter.endswith("1") else 0]
        return _limits(encoding.encodingLimits).get(counter, Limit(0, 0, size // 2)).center

    def geometry(
        self,
        head: Any,
        matrix: tuple[int, int, int] | None = None,
        fov_mm: Sequence[float] | None = None,
    ) -> Geometry:
        """Geometry of the reconstructed volume, oriented as `head` (acquisition or image) says.

        `matrix` and `fov_mm` (z, y, x) default to the header's reconSpace. Raises QsmError for a
        position that is not finite.
        """
        if not np.isfinite(head["position"]).all():
            raise QsmError("a position in the data is not finite; the converter did not fill it in")
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
    table = [float(x) for x in np.nan_to_num(head["patient_table_position"], posinf=0, neginf=0)]
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
    return _term(position).strip().upper()


def _term(value: Any) -> str:
    """Return an enumerated value, or the text that xsdata left because it is none of them."""
    return str(getattr(value, "value", value) or "")


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
