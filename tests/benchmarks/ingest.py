"""How fast readouts are taken in, and in how much memory: 32 and 64 coils x 512 samples.

Usage: python -m tests.benchmarks.ingest [COILS ...]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from gadgetron_qsm.ingest.lines import Lines
from gadgetron_qsm.ingest.memory import needed_on_host
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.processors import processors
from gadgetron_qsm.settings import KSpaceSettings

ECHOES, PARTITIONS, PHASE_ENCODES, SAMPLES, VIRTUAL_COILS = 5, 24, 128, 512, 12
TR_S = 0.035
DIFFERENT = 64  # readouts; the scan repeats them
HEADER = f"""<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>
<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions><encoding>
<encodedSpace><matrixSize><x>{SAMPLES}</x><y>{PHASE_ENCODES}</y><z>{PARTITIONS}</z></matrixSize>
<fieldOfView_mm><x>512</x><y>{PHASE_ENCODES}</y><z>{PARTITIONS}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{SAMPLES // 2}</x><y>{PHASE_ENCODES}</y><z>{PARTITIONS}</z></matrixSize>
<fieldOfView_mm><x>256</x><y>{PHASE_ENCODES}</y><z>{PARTITIONS}</z></fieldOfView_mm></reconSpace>
<encodingLimits/><trajectory>cartesian</trajectory></encoding><sequenceParameters>
{"".join(f"<TE>{5 * echo + 5}</TE>" for echo in range(ECHOES))}
</sequenceParameters></ismrmrdHeader>"""


def main() -> None:
    """Print the rates, and the memory against the plan."""
    table = Table(
        title=f"{SAMPLES} samples, {ECHOES} echoes, bipolar, {VIRTUAL_COILS} virtual coils"
    )
    for heading in (
        "coils",
        "raw MB",
        "seconds",
        "MB/s",
        "of the scan's time",
        "memory GB",
        "plan GB",
    ):
        table.add_column(heading, justify="right")
    for coils in [int(text) for text in sys.argv[1:]] or [32, 64]:
        table.add_row(str(coils), *(f"{value:.3g}" for value in measure(coils)))
    Console().print(table)


def measure(coils: int) -> tuple[float, ...]:
    """Return MB, s, MB/s, ingest over scan time, GB used and GB planned beside the readouts."""
    readouts = list(scan(coils))  # the scanner's, not ours: their memory is taken off
    settings = KSpaceSettings(virtual_coils=VIRTUAL_COILS)
    lines = Lines(Header.parse(HEADER), settings)
    before = peak_bytes()
    start = time.perf_counter()
    with processors():
        for readout in readouts:
            list(lines.add(readout))
    taken_s = time.perf_counter() - start
    size = sum(readout.data.nbytes for readout in readouts)
    planned = needed_on_host((ECHOES, VIRTUAL_COILS, PARTITIONS, PHASE_ENCODES, SAMPLES // 2))
    scan_s = TR_S * PARTITIONS * PHASE_ENCODES
    used = peak_bytes() - before
    rate = size / taken_s
    return size / 1e6, taken_s, rate / 1e6, taken_s / scan_s, used / 1e9, planned / 1e9


def peak_bytes() -> int:
    """Most memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def scan(coils: int) -> Iterator[Acquisition]:
    """Noise, then readouts in the order of acquisition, echoes read to and fro."""
    rng = np.random.default_rng(0)
    shape = (DIFFERENT, coils, 2 * SAMPLES)
    data = rng.standard_normal(shape, np.float32).view(np.complex64)
    for noise in data[:8]:
        yield readout(noise, 1 << 18)
    counters = np.ndindex(PARTITIONS, PHASE_ENCODES, ECHOES)
    for number, (kz, ky, echo) in enumerate(counters):
        reverse = (1 << 21) * (echo % 2)
        yield readout(data[number % DIFFERENT], reverse, kz, ky, echo)


def readout(data: np.ndarray, flags: int, kz: int = 0, ky: int = 0, echo: int = 0) -> Acquisition:
    """One line, its data as they come over a socket: read-only, of its own."""
    head = np.zeros((), ACQUISITION_HEADER)
    head["active_channels"], head["number_of_samples"] = data.shape
    head["center_sample"] = SAMPLES // 2 - echo % 2
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    head["flags"] = flags
    head["idx"]["kspace_encode_step_2"], head["idx"]["kspace_encode_step_1"] = kz, ky
    head["idx"]["contrast"] = echo
    return Acquisition(head[()], data)


if __name__ == "__main__":
    main()
