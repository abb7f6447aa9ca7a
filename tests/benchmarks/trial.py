"""A head that methods are tried on: what they are given, what their maps are measured against."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.methods import effective
from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.processors import processors
from gadgetron_qsm.stage.choice import choose
from gadgetron_qsm.stage.files import Params
from gadgetron_qsm.stage.run import Case, run_steps
from tests.benchmarks.heads import SNR, Head
from tests.benchmarks.scores import deeper_than, filled, hfen, nrmse, nuclei, xsim
from tests.benchmarks.timing import fft_pair_seconds

CORE_MM = 6.0
DEPTHS_MM = (4.0, 6.0)
WRAP = 0.5  # of a turn of the longest echo spacing: an error beyond is one of unwrapping


@dataclass(frozen=True)
class Result:
    """Maps and mask that came out, its time in s and in FFT pairs, and what it was done with."""

    case: Case
    seconds: float
    pairs: float
    told: str


@dataclass(frozen=True)
class Trial:
    """A head, and what is made of it."""

    head: Head

    def run(self, steps: list[str], methods: str, **maps: np.ndarray) -> Result:
        """Do steps with methods, names joined by '+', on maps by the names of their files."""
        head = self.head
        params = Params(head.echo_times_s, head.larmor_hz, head.b0_direction, head.voxel_size)
        magnitude = np.abs(head.echoes)
        case = Case(params, {"mask": head.brain, "magnitude": magnitude, **maps})
        choices = choose(steps, methods, {})
        before = self.pair_s()
        start = time.perf_counter()
        run_steps(case, choices)
        seconds = time.perf_counter() - start
        pairs = 2 * seconds / (before + self.pair_s())
        told = "; ".join(
            " ".join(f"{key}={value}" for key, value in effective(c.method, c.given).items())
            for c in choices.values()
        )
        return Result(case, seconds, pairs, told)

    def pair_s(self) -> float:
        """Time of a real FFT pair of the head's grid just now, in s."""
        with processors():
            return fft_pair_seconds(self.head.brain.shape)

    @cached_property
    def phase(self) -> np.ndarray:
        """Wrapped phase (echo, z, y, x)."""
        return np.angle(self.head.echoes)

    @cached_property
    def noisy_local_field(self) -> np.ndarray:
        """The true local field with the noise that the best fit of these echoes has."""
        head = self.head
        size = np.abs(head.echoes)
        white = size[0][head.labels == tissue.WHITE].mean()
        fit = weighted_echo_fit(np.zeros_like(size), size, head.echo_times_s, head.larmor_hz)
        noise = np.random.default_rng(11).standard_normal(head.brain.shape, np.float32)
        sigma = np.float32(np.sqrt(2) * white / SNR)  # of complex noise, both its parts together
        return head.local_field + np.where(head.brain, noise * fit.noise * sigma, 0)

    @cached_property
    def brain(self) -> np.ndarray:
        """The brain less one voxel."""
        return self.deeper(max(self.head.voxel_size))

    @cached_property
    def core(self) -> np.ndarray:
        """The brain more than 6 mm inside."""
        return self.deeper(CORE_MM)

    def deeper(self, depth_mm: float) -> np.ndarray:
        """The brain deeper than that."""
        return deeper_than(self.head.brain, self.head.voxel_size, depth_mm)

    def chi_scores(self, result: Result) -> tuple[float, ...]:
        """NRMSE, XSIM, HFEN on brain and core; slope and RMSE of the nuclei; coverage."""
        chi, valid, head = result.case.maps["chimap"], result.case.maps["mask"], self.head
        scores: list[float] = []
        for region in (self.brain, self.core):
            got = filled(chi, valid, region)
            scores += [score(got, head.chi, region) for score in (nrmse, xsim, hfen)]
        got = filled(chi, valid, self.brain)
        scores += nuclei(got, head.chi, head.labels, self.brain)
        return (*scores, self.coverage(valid))

    def local_scores(self, result: Result) -> tuple[float, ...]:
        """NRMSE of the local field on the brain less one voxel and further inside; coverage."""
        local, valid = result.case.maps["localfield"], result.case.maps["mask"]
        regions = (self.brain, *map(self.deeper, DEPTHS_MM))
        errors = (nrmse(filled(local, valid, r), self.head.local_field, r) for r in regions)
        return (*errors, self.coverage(valid))

    def total_scores(self, result: Result) -> tuple[float, ...]:
        """RMS and median error of the total field in ppb, and voxels unwrapped wrongly, in %."""
        head = self.head
        off = (result.case.maps["totalfield"] - head.total_field)[head.brain].astype(np.float64)
        off -= np.median(off)
        spacing_s = float(np.diff((0.0, *head.echo_times_s)).max())
        turn_ppm = 1e6 / (head.larmor_hz * spacing_s)
        wrong = np.abs(off) > WRAP * turn_ppm
        return (
            1000 * float(np.sqrt(np.mean(off**2))),
            1000 * float(np.median(np.abs(off))),
            100 * float(wrong.mean()),
        )

    def coverage(self, valid: np.ndarray) -> float:
        """Fraction of the brain that is mapped."""
        return float((valid & self.head.brain).sum() / self.head.brain.sum())
