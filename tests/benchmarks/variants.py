"""How true the combined echoes are for each way to scan: a table.

Usage: python -m tests.benchmarks.variants [--labels HEAD.nii.gz] [--voxel MM] [NAME ...]
Names are those of `gadgetron-qsm simulate --variant`, or those with a setting as the table has
them; all of them when none is given.

The truth is the same object with the same voxels and receivers, fully sampled without noise.
  lines      that came for the image, of those of the full scan; averages count
  error      of the complex echoes in the brain against the truth, root mean square, relative
  noiseless  the same without noise: what is not noise, such as blur
  full       difference to the full scan with noise of its own
  noise      the echoes less the noiseless ones, over that of the full scan
  expected   of it: see `expected_noise`
  offset     smooth phase that all echoes have beyond the truth's, standard deviation in the brain
  field      half of the brain's voxels are closer to the truth's field: its echoes' phases
             fitted as the chain does, a constant left out; of one echo, a smooth phase too
Offset and field are those of the chain's own combination of coils. All columns before them have
coils combined by a virtual reference coil and the smooth phase left out: they tell of the lines.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import math
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from gadgetron_qsm import chain
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.errors import QsmError, UsageError
from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.ingest.kinds import Kind, kind_of
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import Message
from gadgetron_qsm.phantom import VARIANTS, Extras, Readout, Sampling, Scan, simulate, varied
from gadgetron_qsm.settings import Settings

POCS, SENSE = {"kspace.partial_fourier": "pocs"}, {"kspace.parallel_imaging": "sense"}
VRC = {"coils.method": "vrc"}
NEEDED = {
    "bipolar-unflagged": {"kspace.reversed_echoes": "even"},
    "holes": {"kspace.incomplete": "warn"},
}
SETTINGS = {name: (name, NEEDED.get(name, {})) for name in VARIANTS} | {
    "r2x2 SENSE": ("r2x2", SENSE),
    "caipi2x2 SENSE": ("caipi2x2", SENSE),
    "partial-fourier POCS": ("partial-fourier", POCS),
    "partial-fourier-both POCS": ("partial-fourier-both", POCS),
    "asymmetric POCS": ("asymmetric", POCS),
}
NOISELESS = 1e6  # SNR; with a noise scan all the same, which decides how coils are weighted
OFFSET_MM = 6.0  # standard deviation of the Gaussian that finds the smooth phase
COLUMNS = (
    "lines %",
    "error %",
    "noiseless %",
    "full %",
    "noise",
    "expected",
    "offset rad",
    "field ppb",
)

Line = tuple[int, int, int]


@dataclass(frozen=True)
class Result:
    """Combined echoes of each repetition, the phantom's maps, and how often each line came."""

    scans: tuple[Echoes, ...]
    maps: Mapping[str, np.ndarray]
    lines: Counter[Line]

    @property
    def echoes(self) -> Echoes:
        return self.scans[0]

    @property
    def brain(self) -> np.ndarray:
        return self.maps["brain"]


def main() -> None:
    """Simulate, combine and compare each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--voxel", type=float, default=4.0)
    parser.add_argument("--coils", type=int, default=8)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    plain = Scan(voxel_size_mm=(given.voxel,) * 3, coils=given.coils)
    print(f"voxels of {given.voxel:g} mm, {given.coils} coils, SNR {plain.snr:g}")
    print(f"{'variant':26}" + "".join(f"{heading:>12}" for heading in COLUMNS))
    start = time.perf_counter()
    for name in given.names or SETTINGS:
        print(f"{name:26}{row(name, plain, given.labels)}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


def row(name: str, plain: Scan, labels: Path | None) -> str:
    """Return the texts of a row."""
    if name not in SETTINGS:
        raise UsageError(f"no variant '{name}'; there are {', '.join(SETTINGS)}")
    variant, settings = SETTINGS[name]
    try:
        numbers = compare(varied(plain, [variant]), labels, settings)
    except QsmError as error:
        return f"  refused: {error}"
    return "".join(f"{number:12.3g}" for number in numbers)


def compare(scan: Scan, labels: Path | None, settings: Mapping[str, str]) -> tuple[float, ...]:
    """Return the numbers of a row."""
    full = fully_sampled(scan)
    delivered, result = (combined(scan, labels, settings, how) for how in ({}, VRC))
    true_delivered, true = (combined(free_of_noise(full), labels, how) for how in ({}, VRC))
    noiseless = combined(free_of_noise(scan), labels, settings, VRC)
    of_full = combined(full, labels, VRC)
    return (
        100 * result.lines.total() / of_full.lines.total(),
        100 * error(result, true),
        100 * error(noiseless, true),
        100 * error(result, of_full),
        error(result, noiseless) / error(of_full, true),
        expected_noise(scan, result, len(true.lines), settings),
        float(np.std(smooth_phase(delivered, true_delivered)[true.brain])),
        field_error_ppb(delivered, true_delivered),
    )


def fully_sampled(scan: Scan) -> Scan:
    """The plain scan of the same voxels, echoes and receivers."""
    receivers = Extras(idle_channels=scan.extras.idle_channels)
    return replace(scan, sampling=Sampling(), readout=Readout(), extras=receivers)


def free_of_noise(scan: Scan) -> Scan:
    """The same scan without noise."""
    return replace(scan, snr=NOISELESS)


def combined(scan: Scan, labels: Path | None, *settings: Mapping[str, str]) -> Result:
    """Simulate a scan and combine its coils, once for the same settings."""
    return _combined(scan, labels, tuple(item for part in settings for item in part.items()))


@cache
def _combined(scan: Scan, labels: Path | None, changes: tuple[tuple[str, str], ...]) -> Result:
    settings = Settings.from_properties({"deliver.maps": "chi,g_factor", **dict(changes)})
    lines: Counter[Line] = Counter()
    raw, truth = simulated(scan, labels)
    with np.load(truth) as file:
        maps = dict(file)
    with RawFile(raw) as file:
        header = Header.parse(file.header_text)
        messages = (message for block in file.blocks() for message in block)
        scans = tuple(chain.combine(counted(messages, header, lines), header, settings))
    return Result(scans, maps, lines)


@lru_cache(maxsize=1)
def simulated(scan: Scan, labels: Path | None) -> tuple[Path, Path]:
    """Simulate a scan; return its file and that of its truth, which the next scan overwrites."""
    raw = _folder() / "scan.h5"
    return raw, simulate(raw, scan, labels)


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


def counted(messages: Iterable[Message], header: Header, lines: Counter[Line]) -> Iterator[Message]:
    """Pass messages on, and count the image's lines of the first echo and repetition."""
    for message in messages:
        idx = message.head["idx"]
        first = idx["contrast"] == 0 and idx["repetition"] == 0
        if first and kind_of(message.head, header) is Kind.IMAGE:
            kz, ky = (int(idx[f"kspace_encode_step_{axis}"]) for axis in (2, 1))
            lines[int(idx["slice"]), kz, ky] += 1
        yield message


def expected_noise(scan: Scan, result: Result, whole: int, settings: Mapping[str, str]) -> float:
    """Noise over that of a full scan, in theory, root mean square in the brain.

    Lines that came have the noise of one, or of the mean of several; those of a cell of the
    lattice that were filled have, together with the one that came, g^2 times the acceleration of
    that each; those left zero have none. POCS makes it 1 at most; of SENSE without g it is the
    least: that of as many lines. More lines within the same k-space give more signal.
    """
    more = math.prod(scan.sampling.oversampling)
    share = len(result.lines) / whole / more
    of_line = float(np.mean([1 / times for times in result.lines.values()]))
    if settings == POCS:
        return math.sqrt(of_line / more)
    if result.echoes.g_factor is not None:
        cells = math.prod(scan.sampling.acceleration)
        filled = (1 - share) * cells / (cells - 1)
        gain = float(np.mean(np.square(result.echoes.g_factor[result.brain], dtype=float)))
        return math.sqrt(of_line * (1 - filled + filled * cells * gain))
    if scan.sampling.lost or settings == SENSE:
        return math.sqrt(of_line / share)
    return math.sqrt(of_line * share * scan.readout.echo_fraction / more)


def error(result: Result, true: Result) -> float:
    """Error of the echoes in the brain, but for a factor and the smooth phase of all of them."""
    data = result.echoes.data * np.exp(-1j * smooth_phase(result, true))
    got, wanted = (data[:, true.brain].ravel() for data in (data, true.echoes.data))
    got *= np.vdot(got, wanted) / np.vdot(got, got)
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def smooth_phase(result: Result, true: Result) -> np.ndarray:
    """Smooth phase (z, y, x) over that of the truth, all echoes together."""
    product = (result.echoes.data * true.echoes.data.conj()).sum(axis=0)
    width = [OFFSET_MM / size for size in true.echoes.geometry.voxel_size]
    return np.angle(
        gaussian_filter(product.real, width) + 1j * gaussian_filter(product.imag, width)
    )


def field_error_ppb(result: Result, true: Result) -> float:
    """Median difference of the field in the brain."""
    product = result.echoes.data * true.echoes.data.conj()
    if len(product) == 1:
        product = product * np.exp(-1j * smooth_phase(result, true))
    of = true.echoes
    fit = weighted_echo_fit(np.angle(product), np.abs(of.data), of.echo_times_s, of.larmor_hz)
    off = 1000 * fit.total_field[true.brain]
    return float(np.median(np.abs(off - np.median(off))))


if __name__ == "__main__":
    main()
