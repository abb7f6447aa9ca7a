"""Values of the MRD header that the maps are made with; each raises QsmError when it cannot be."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from gadgetron_qsm.errors import QsmError

LARMOR_HZ_PER_T = 42.577478518e6  # CODATA 2018, proton
FIELD_STRENGTHS_T = (0.001, 30.0)  # of any magnet for people, with room
VOXEL_MM = (0.01, 100.0)  # of any scanner, with room; a slice may be thick
MOST_ECHOES = 256  # of any scan, with room
LAST_ECHO_TIME_MS = (0.5, 1000.0)  # shorter: seconds were written; longer: microseconds


def echo_times_s(document: Any, contrasts: int | None) -> tuple[float, ...]:
    """Return the echo times; `contrasts` is how many the limits announce, if they do."""
    parameters = document.sequenceParameters
    times = [_number(te) for te in parameters.TE] if parameters else []
    if not times:
        raise QsmError("the MRD header has no echo times (sequenceParameters.TE); add them in ms")
    if len(times) > MOST_ECHOES:
        raise QsmError(f"the MRD header has {len(times)} echo times, more than {MOST_ECHOES}")
    shortest, longest = LAST_ECHO_TIME_MS
    increase = all(a < b for a, b in pairwise([0, *times]))
    if not (increase and shortest < times[-1] < longest):
        some = f"{times[:8]}".replace("]", ", ...]" if len(times) > 8 else "]")
        raise QsmError(f"echo times {some} are wrong: they must increase, and must be in ms")
    if contrasts and contrasts != len(times):
        raise QsmError(
            f"the MRD header names {len(times)} echo times but {contrasts} contrasts; "
            "correct sequenceParameters.TE or encodingLimits.contrast"
        )
    return tuple(te / 1000 for te in times)


def larmor_hz(document: Any) -> float:
    """Return the imaging frequency, or what the nominal field strength makes of it."""
    conditions, system = document.experimentalConditions, document.acquisitionSystemInformation
    frequency_hz = _number(conditions and conditions.H1resonanceFrequency_Hz)
    lowest, highest = (field * LARMOR_HZ_PER_T for field in FIELD_STRENGTHS_T)
    if frequency_hz and not lowest < frequency_hz < highest:
        raise QsmError(
            f"the MRD header has an H1resonanceFrequency_Hz of {frequency_hz:g}; correct it, in Hz"
        )
    if frequency_hz:
        return frequency_hz
    field_strength_t = _number(system and system.systemFieldStrength_T)
    if FIELD_STRENGTHS_T[0] < field_strength_t < FIELD_STRENGTHS_T[1]:
        return field_strength_t * LARMOR_HZ_PER_T
    raise QsmError(
        "the MRD header has no field strength; fill in H1resonanceFrequency_Hz "
        "(or acquisitionSystemInformation.systemFieldStrength_T)"
    )


def space(encoding_space: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Return matrix and field of view of an encoding space (z, y, x)."""
    matrix, fov_mm = zyx(encoding_space.matrixSize), zyx(encoding_space.fieldOfView_mm)
    thinnest, thickest = VOXEL_MM
    if not all(thinnest < size / n < thickest for n, size in zip(matrix, fov_mm, strict=True)):
        raise QsmError(
            f"the MRD header has a matrix of {matrix} for a field of view of {fov_mm} mm "
            "(z, y, x): no such voxels can be; correct it"
        )
    return matrix, fov_mm


def zyx(triple: Any) -> tuple[Any, Any, Any]:
    """Return what a triple of the header has along (z, y, x), which is positive."""
    values = (triple.z, triple.y, triple.x)
    if not all(0 < value < math.inf for value in values):
        raise QsmError(f"the MRD header has a matrix or field of view of {values} (z, y, x)")
    return values


def _number(value: Any) -> float:
    """Return a value of the header, which is text when it is of another type than it should be."""
    try:
        return float(value or 0)
    except ValueError as error:
        raise QsmError("the MRD header has a text where a number must be") from error
