"""Lines that were left out on purpose are filled; others that are missing are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gadgetron_qsm.arrays import Array, array_module
from gadgetron_qsm.coils.espirit import espirit
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.early import Early
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.kspace.lattice import Coverage, find_coverage
from gadgetron_qsm.kspace.sampling import calibration_region, describe_missing
from gadgetron_qsm.kspace.sense import sense
from gadgetron_qsm.settings import KSpaceSettings

MOST_ACCELERATED = 16  # along an axis; no scanner goes beyond

Source = Callable[[], Array]
Factors = tuple[int, int]


def complete(
    hybrid: Source,
    came: np.ndarray,
    announced: np.ndarray,
    acceleration: Factors,
    *,
    calibration: Array | None,
    settings: KSpaceSettings,
    journal: Journal,
    early: Early | None = None,
) -> list[Kernels]:
    """Fill the lines that were left out on purpose, in place; refuse, or warn of, others.

    hybrid() is the data (echo, coil, kz, ky, x), asked for when it is needed; came (echo, kz, ky)
    and announced (kz, ky) bool; acceleration along (kz, ky); calibration (echo, coil, kz, ky, x)
    a fully sampled block apart from the data, or None; early: what has begun to fill the data.
    Returns the kernels of GRAPPA, none where it was not needed.
    """
    if came[:, announced].all():
        return []
    alike = bool((came == came[0]).all())
    first = came[:1] if alike else came  # one stands for all where all are alike
    acceleration = _checked(acceleration)
    coverages = [find_coverage(sampled, announced, acceleration) for sampled in first]
    by_sense = _needs_sense(came, coverages, acceleration, settings, journal)
    kernels: list[Kernels] = []
    for echo, (sampled, coverage) in enumerate(zip(first, coverages, strict=True)):
        echoes = slice(None) if alike else slice(echo, echo + 1)
        wanted = coverage.wanted if coverage else announced
        if by_sense:
            _sense(hybrid()[echoes], sampled, wanted, calibration, settings, journal)
        elif acceleration != (1, 1):
            each = settings.kernels == "each_echo"
            how = {"acceleration_zy": acceleration, "kernels": settings.kernels}
            with journal.stage("grappa", method="GRAPPA in hybrid space", **how):
                found = early.finish(sampled, wanted) if early and alike else None
                if found is None:
                    some = hybrid()[echoes], sampled, wanted, acceleration
                    found = grappa(*some, calibration=calibration, per_echo=each)
                kernels += found
        if coverage and coverage.elliptical:
            journal.provenance["kspace"]["elliptical_sampling"] = True
    return kernels


def _checked(acceleration: Factors) -> Factors:
    """Return factors of the header, 0 being none; raise QsmError for those that cannot be."""
    if not 0 <= min(acceleration) <= max(acceleration) <= MOST_ACCELERATED:
        z, y = acceleration
        raise QsmError(f"the MRD header has an acceleration of {y} x {z}; correct it")
    return max(acceleration[0], 1), max(acceleration[1], 1)


def _needs_sense(
    came: np.ndarray,
    coverages: Sequence[Coverage | None],
    acceleration: Factors,
    settings: KSpaceSettings,
    journal: Journal,
) -> bool:
    """Tell whether SENSE fills what is missing: as it is asked for, or where GRAPPA cannot.

    Raises QsmError when lines are missing that should have come, and the settings refuse that.
    """
    asked_for = settings.parallel_imaging == "sense"
    found = [coverage for coverage in coverages if coverage]
    if asked_for and (len(found) < len(coverages) or acceleration == (1, 1)):
        return True  # nobody knows what should have come
    if len(found) < len(coverages):
        text = f"the lines that came lie on no lattice of {acceleration[1]} x {acceleration[0]}"
        advice = "correct the header, or set kspace.parallel_imaging=sense for irregular sampling"
    elif all(coverage.whole for coverage in found):
        return asked_for
    else:
        missing = np.broadcast_to([coverage.missing for coverage in found], came.shape)
        text = describe_missing(missing, int(missing.sum() + came.sum()))
        advice = "send it again, or set kspace.incomplete=warn"
        if acceleration == (1, 1) and missing.sum() >= came.sum() / 2:
            advice += "; if all of it came, the header lacks its acceleration"
    if settings.incomplete == "refuse":
        raise QsmError(f"{text}; {advice}")
    journal.warn(text)
    return True


def _sense(
    hybrid: Array,
    sampled: np.ndarray,
    wanted: np.ndarray,
    calibration: Array | None,
    settings: KSpaceSettings,
    journal: Journal,
) -> None:
    """Fill what is missing from what the coils see.

    Where that cannot be calibrated zeros are left, or QsmError is raised, as the settings say.
    """
    try:
        with journal.stage("sense"):
            if calibration is None:
                calibration = hybrid[(slice(None), slice(None), *calibration_region(sampled))]
            white = journal.provenance["kspace"]["noise_whitened"]
            calibration = array_module(hybrid).asarray(calibration)
            noise = 1.0 if white else 0.0  # variance, where it is known
            sensitivities = espirit(calibration[0], hybrid.shape[2:4], noise=noise)
            reached = sense(hybrid, sampled, sensitivities, wanted=wanted)
        journal.provenance["sense"] = {"method": "CG-SENSE, ESPIRiT", **reached._asdict()}
        filled = int((wanted & ~sampled).sum())
        journal.warn(f"{filled} of {int(wanted.sum())} lines were not sampled: SENSE filled them")
    except QsmError as error:
        if settings.incomplete == "refuse":
            raise
        journal.warn(f"what was not sampled is zero: {error}")
