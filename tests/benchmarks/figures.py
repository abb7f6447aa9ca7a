"""What figures of quality read as: scans that move, are noisy or accelerated, maps that streak.

Usage: python -m tests.benchmarks.figures [--voxel MM] [--coils N]
The scan is that of `gadgetron-qsm simulate` with these voxels, three echoes and the preset `fast`.
  ghosting   percent, of the first echo's coil images
  residual   of the echo fit, rad
  mask       ml
  streaking  ratio
  error      of chi in the mask against the truth, percent (NRMSE)
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from gadgetron_qsm import chain
from gadgetron_qsm.coils.ghosting import ghosting
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.inversion.streaking import streaking
from gadgetron_qsm.mrd.files import RawFile
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.phantom import Movement, Scan, simulate, varied
from gadgetron_qsm.settings import Settings
from tests.benchmarks.scores import nrmse
from tests.benchmarks.timing import seconds

FAST = {"preset": "fast"}
SWAYS_MM, SHIFTS_MM, SNRS = (0.25, 0.5, 1.0, 2.0), (1.0, 3.0, 6.0), (30.0, 15.0, 8.0)
VARIANTS = ("r2", "r3", "caipi2x2", "elliptical", "partial-fourier", "slices")
INVERSIONS: Mapping[str, Mapping[str, str]] = {
    "single-step TV (standard)": {"preset": "standard"},
    "TV": {"inversion.method": "tv"},
    **{
        f"TV, regularisation {r:g}": {"inversion.method": "tv", "inversion.regularisation": f"{r}"}
        for r in (5e-4, 5e-6)
    },
    **{
        f"TKD, threshold {t:g}": {"inversion.method": "tkd", "inversion.threshold": f"{t}"}
        for t in (0.3, 0.2, 0.1, 0.05)
    },
}
COLUMNS = ("ghosting", "residual", "mask", "streaking", "error")


def main() -> None:
    """Print a row for each scan, and for each way to invert two of them; then what they cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voxel", type=float, default=3.0)
    parser.add_argument("--coils", type=int, default=6)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    plain = Scan(
        voxel_size_mm=(given.voxel,) * 3, coils=given.coils, echo_times_s=(0.006, 0.014, 0.022)
    )
    print(f"{'':36}" + "".join(f"{name:>11}" for name in COLUMNS))
    for name, scan in _scans(plain):
        combined, true, brain = _combined(scan)
        _print(name, combined, true, FAST)
        if name in ("still", "SNR 15"):
            place = combined.geometry
            ratio = streaking(true, brain, place.voxel_size, place.b0_direction)
            print(f"{'  the true map':36}{ratio:44.2f}")
            for method, settings in INVERSIONS.items():
                _print(f"  {method}", combined, true, {**FAST, **settings})
    _print_cost()


def _scans(plain: Scan) -> Iterator[tuple[str, Scan]]:
    yield "still", plain
    for snr in SNRS:
        yield f"SNR {snr:g}", replace(plain, snr=snr)
    for mm in SWAYS_MM:
        yield f"sways by {mm:g} mm, every 3 s", replace(plain, movement=Movement((0, mm), 3.0))
    for mm in SHIFTS_MM:
        yield f"shifts once by {mm:g} mm", replace(plain, movement=Movement((0, mm)))
    for name in VARIANTS:
        yield name, varied(plain, [name])
    yield "r3, sways by 1 mm", replace(varied(plain, ["r3"]), movement=Movement((0, 1.0), 3.0))


def _combined(scan: Scan) -> tuple[Echoes, np.ndarray, np.ndarray]:
    """Return the scan with its coils combined, the true susceptibility in ppm, and the brain."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "scan.h5"
        with np.load(simulate(raw, scan)) as file:
            true, brain = file["chi_ppm"], file["brain"]
        with RawFile(raw) as file:
            header = Header.parse(file.header_text)
            readouts = (readout for block in file.blocks() for readout in block)
            (echoes,) = chain.combine(readouts, header, Settings.from_properties(FAST))
    return echoes, true, brain


def _print(name: str, echoes: Echoes, true: np.ndarray, properties: Mapping[str, str]) -> None:
    settings = Settings.from_properties(dict(properties))
    chi, mask = chain.susceptibility([echoes], settings, ["chi", "mask"])
    quality, inside = mask.report["quality"], mask.data > 0
    values = (
        f"{quality['ghosting_percent']:.1f}",
        f"{quality['phase_residual_rad']:.3f}",
        f"{quality['mask_volume_ml']:.0f}",
        f"{quality['streaking_ratio']:.2f}",
        f"{nrmse(chi.data / 1000, true, inside):.0f}",
    )
    print(f"{name:36}" + "".join(f"{value:>11}" for value in values), flush=True)


def _print_cost() -> None:
    """Time both figures on the grid of `latency --size small`."""
    rng = np.random.default_rng(0)
    coils = rng.standard_normal((8, 88, 112, 96, 2), np.float32).view(np.complex64)[..., 0]
    mask = np.zeros(coils.shape[1:], bool)
    mask[10:75, 10:100, 12:84] = True
    spent = (
        seconds(lambda: ghosting(coils)),
        seconds(lambda: streaking(coils[0].real, mask, (2.0, 2.0, 2.0), (0.9, 0.3, 0.3))),
    )
    told = " and ".join(f"{1000 * s:.1f} ms" for s in spent)
    print(f"96 x 112 x 88 voxels, 8 coils: ghosting and streaking take {told}")


if __name__ == "__main__":
    main()
