"""A scan's readouts as bytes of MRD messages, each made when it is sent: never whole in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from gadgetron_qsm.mrd.messages import MessageId
from gadgetron_qsm.phantom.header import header_xml
from gadgetron_qsm.phantom.heads import readout_heads
from gadgetron_qsm.phantom.shots import plan_course
from tests.benchmarks.bore import RIM, TAPS, bore
from tests.benchmarks.sizes import Size

BATCH_BYTES = 8_000_000
POOL = 1 << 17  # samples of noise, of which every readout takes some
AHEAD = 2  # batches for each maker that wait to be sent

AROUND = np.unique([tap[:2] for tap in TAPS], axis=0)  # lines (kz, ky) that the taps lie on
WINDOWS = [  # (first sample, lines) of the taps of each x, in their order
    (RIM - x, [i for i, line in enumerate(AROUND.tolist()) if (*line, x) in TAPS])
    for x in (-RIM, 0, RIM)
]

Batch = np.ndarray  # (readout, byte)


class Stream:
    """The readouts of a scan in the order of acquisition, noise in front, echo after echo."""

    def __init__(self, size: Size, seed: int = 0) -> None:
        self.scan, grid = size.scan(seed), size.grid
        self.bore = bore(self.scan, grid)
        self.header_text = header_xml(self.scan, grid)
        self.echoes = len(self.scan.echo_times_s)
        self._course = plan_course(self.scan, grid)
        self._heads = readout_heads(self.scan, grid, self._course)
        self.samples = int(self._heads["number_of_samples"][0])
        self._pool = self._noise()

    @property
    def raw_bytes(self) -> int:
        """Size of all samples."""
        return 8 * len(self._heads) * self.scan.coils * self.samples

    @property
    def lines(self) -> int:
        """Number of lines of one echo."""
        return len(self._course.shots)

    @property
    def scan_s(self) -> float:
        """How long the scanner takes."""
        return self.scan.tr_s * (self._course.noise + len(self._course.shots))

    def batches(self) -> Iterator[tuple[Batch, int]]:
        """Give the messages of some readouts, and how many of them are of one TR."""
        of_shot = 8 * self.echoes * self.scan.coils * self.samples
        step = max(1, BATCH_BYTES // of_shot)
        starts = range(0, len(self._course.shots), step)
        tasks = [partial(self._messages, slice(start, start + step)) for start in starts]
        makers = max(1, (os.cpu_count() or 1) // 4)
        if self._course.noise:
            yield self._noise_messages(), 1
        for batch in in_order(tasks, makers):
            yield batch, self.echoes

    def _noise_messages(self) -> Batch:
        lines = np.zeros((self._course.noise, self.scan.coils, self.samples), np.complex64)
        return self._packed(self._heads[: self._course.noise], lines, 0)

    def _messages(self, some: slice) -> Batch:
        shots, seen = self._course.shots[some], self.bore
        kz, ky = (
            (shots[name][:, None] - AROUND[:, axis]) % seen.kspace.shape[1 + axis]
            for axis, name in enumerate(("plane", "line"))
        )
        lines = np.empty((len(shots), self.echoes, self.scan.coils, self.samples), np.complex64)
        for shot, seen_by_coils in enumerate(lines):
            around = seen.kspace[:, kz[shot], ky[shot]]  # (echo, line, sample)
            np.matmul(seen.weights, _tapped(around, self.samples), out=seen_by_coils)
        begin = self._course.noise + self.echoes * some.start
        heads = self._heads[begin : begin + len(shots) * self.echoes]
        return self._packed(heads, lines.reshape(-1, *lines.shape[2:]), some.start + 1)

    def _packed(self, heads: np.ndarray, lines: np.ndarray, seed: int) -> Batch:
        """Add noise to lines (readout, coil, sample), and put them behind their heads."""
        starts = np.random.default_rng([self.scan.seed, 3, seed]).integers(POOL, size=len(lines))
        for line, start in zip(lines, starts.tolist(), strict=True):
            line += self._pool[:, start : start + self.samples]
        kind = np.frombuffer(MessageId.ACQUISITION.to_bytes(2, "little"), np.uint8)
        parts = [
            np.broadcast_to(kind, (len(lines), 2)),
            np.ascontiguousarray(heads).view(np.uint8).reshape(len(lines), -1),
            lines.reshape(len(lines), -1).view(np.uint8),
        ]
        return np.concatenate(parts, axis=1)

    def _noise(self) -> np.ndarray:
        """Complex noise (coil, sample) of the scanner's covariance."""
        rng = np.random.default_rng([self.scan.seed, 4])
        count = POOL + self.samples
        white = rng.standard_normal((self.scan.coils, 2 * count), np.float32).view(np.complex64)
        return np.linalg.cholesky(self.bore.covariance / 2).astype(np.complex64) @ white


def _tapped(around: np.ndarray, samples: int) -> np.ndarray:
    """Return what each tap takes (echo, tap, sample) of the lines (echo, line, sample) AROUND."""
    windows = (around[:, lines, x : x + samples] for x, lines in WINDOWS)
    return np.concatenate(list(windows), axis=1)


def in_order(tasks: Iterable[Callable[[], Batch]], makers: int) -> Iterator[Batch]:
    """Give the results of tasks in their order, some of them made ahead."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(makers) as pool:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > AHEAD * makers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
