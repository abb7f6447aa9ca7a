"""Lines that were left out on purpose are filled; others that are missing are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gadgetron_qsm.arrays import Array
from gadgetron_qsm.coils.espirit import espirit
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.journal import Journal
from gadgetron_qsm.kspace.grappa import grappa
from gadgetron_qsm.kspace.kernels import Kernels
from gadgetron_qsm.kspace.lattice import Coverage, find_coverage
from gadgetron_qsm.kspace.sampling import calibration_region, describe_missing
from gadgetron_qsm.kspace.sense import sense
from gadgetron_qsm.settings import KSpaceSettings

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
) -> list[Kernels]:
    """Fill the lines that were left out on purpose, in place; refuse, or warn of, others.

    hybrid() is the data (echo, coil, kz, ky, x), asked for when it is needed; came (echo, kz, ky)
    and announced (kz, ky) bool; acceleration along (kz, ky); calibration (echo, coil, kz, ky, x)
    a fully sampled block apart from the data, or None.
    Returns the kernels of GRAPPA, none where it was not needed.
    """
    if came[:, announced].all():
        return []
    alike = bool((came == came[0]).all())
    first = came[:1] if alike else came  # one stands for all where all are alike
    coverages = [find_coverage(sampled, announced, acceleration) for sampled in first]
    irregular = settings.parallel_imaging == "sense" or _is_broken(
        came, coverages, acceleration, settings, journal
    )
    kernels: list[Kernels] = []
    for echo, (sampled, coverage) in enumerate(zip(first, coverages, strict=True)):
        echoes = slice(None) if alike else slice(echo, echo + 1)
        if irregular:
            wanted = coverage.wanted if coverage else announced
            _sense(hybrid()[echoes], sampled, wanted, calibration, journal)
        elif acceleration != (1, 1) and coverage:
            with journal.stage("grappa", acceleration_zy=acceleration, kernels=settings.kernels):
                kernels += grappa(
                    hybrid()[echoes],
                    sampled,
                    coverage.wanted,
                    acceleration,
                    calibration=calibration,
                    per_echo=settings.kernels == "each_echo",
                )
        if coverage and coverage.elliptical:
            journal.provenance["kspace"]["elliptical_sampling"] = True
    return kernels


def _is_broken(
    came: np.ndarray,
    coverages: Sequence[Coverage | None],
    acceleration: Factors,
    settings: KSpaceSettings,
    journal: Journal,
) -> bool:
    """Tell whether lines are missing that should have come; raise QsmError when that is refused."""
    found = [coverage for coverage in coverages if coverage]
    if len(found) < len(coverages):
        text = f"the lines that came lie on no lattice of {acceleration[1]} x {acceleration[0]}"
        advice = "correct the header, or set kspace.parallel_imaging=sense for irregular sampling"
    elif all(coverage.whole for coverage in found):
        return False
    else:
        missing = np.broadcast_to([coverage.missing for coverage in found], came.shape)
        text = describe_missing(missing, int(missing.sum() + came.sum()))
        advice = "send it again, or set kspace.incomplete=warn"
    if settings.incomplete == "refuse":
        raise QsmError(f"{text}; {advice}")
    journal.warn(text)
    return True


def _sense(
    hybrid: Array,
    sampled: np.ndarray,
    wanted: np.ndarray,
    calibration: Array | None,
    journal: Journal,
) -> None:
    """Fill what is missing from what the coils see; leave zeros where that cannot be calibrated."""
    try:
        with journal.stage("sense"):
            if calibration is None:
                calibration = hybrid[(slice(None), slice(None), *calibration_region(sampled))]
            white = journal.provenance["kspace"]["noise_whitened"]
            noise = 1.0 if white else 0.0  # variance, where it is known
            sensitivities = espirit(calibration[0], hybrid.shape[2:4], noise=noise)
            reached = sense(hybrid, sampled, sensitivities, wanted=wanted)
        journal.provenance["sense"] = {"method": "CG-SENSE, ESPIRiT", **reached._asdict()}
    except QsmError as error:
        journal.warn(f"what was not sampled is zero: {error}")
