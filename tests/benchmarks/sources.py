"""How well bleeds and calcifications scattered in a head are found and measured: a table.

Usage: python -m tests.benchmarks.sources [--seeds N ...] [--field T ...] [--strength S]
           [--set KEY=VALUE ...] [--keep FOLDER] [LABELS.nii.gz]

Each scan: the labelled head at 1 mm with veins, 15 bleeds (0.9 ppm) and 10 calcifications
(-1.2 ppm) of 2 to 6 mm in white and grey matter, echoes with noise, through the chain's
quantification, with the head's nuclei as labels. Criteria were chosen on seeds 1 and 2.
A source is a sphere's when its centre lies in it, or within 2 mm of its centre.
  found        of the spheres, in %; sign: of those found that have theirs, in %
  false        sources of no sphere, a scan
  moment       total susceptibility by the truth: mean and standard deviation, in %
  seen, volume thresholded and corrected volume by the truth: median, and 10th to 90th percentile
  count        microbleeds counted, of 15 in each scan
"""

from __future__ import annotations

import argparse
import logging
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage

from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.sources import Source, microbleeds, strong_sources
from gadgetron_qsm.mrd.header import LARMOR_HZ_PER_T
from gadgetron_qsm.phantom import tissue
from tests.benchmarks.accuracy import LABELS
from tests.benchmarks.heads import ECHO_TIMES_S
from tests.benchmarks.scattered import BLEED, CALCIFICATION, Scattered, Sphere, scattered

SEEDS, FIELDS_T = (11, 12, 13), (3.0, 7.0)
CLASSES_MM = ((2.0, 3.0), (3.0, 4.0), (4.0, 6.0))
NEAR_MM = 2.0
COLUMNS = ("spheres", "found", "sign", "moment", "seen", "volume")


@dataclass(frozen=True)
class Score:
    """What was found in one scan: a source or None of each sphere, sources of none, their count.

    depths_mm: of the spheres' centres in the mask, 0 outside.
    """

    pairs: tuple[tuple[Sphere, Source | None], ...]
    depths_mm: tuple[float, ...]
    false: tuple[Source, ...]
    count: int


def main() -> None:
    """Print the table, a field strength after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--field", nargs="+", type=float, default=FIELDS_T)
    parser.add_argument("--strength", type=float, default=1.0, help="of susceptibility and R2*")
    parser.add_argument("--set", nargs="+", default=(), metavar="KEY=VALUE", dest="properties")
    parser.add_argument("--keep", type=Path, help="folder for the scans, to be measured again")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    properties = dict(text.split("=", 1) for text in given.properties)
    for field_t in given.field:
        start = time.perf_counter()
        scores = [score(_made(given, seed, field_t, properties), field_t) for seed in given.seeds]
        seconds = (time.perf_counter() - start) / len(scores)
        print(f"\n{field_t:g} T, seeds {' '.join(map(str, given.seeds))}; {seconds:.0f} s a scan")
        print("\n".join(table(scores)), flush=True)


def _made(
    given: argparse.Namespace, seed: int, field_t: float, properties: Mapping[str, str]
) -> Scattered:
    name = f"sources_{field_t:g}T_{given.strength:g}_{seed}.pkl"
    kept = given.keep / name if given.keep else None
    if kept and kept.exists():
        return pickle.loads(kept.read_bytes())
    made = scattered(
        given.labels, seed, field_t=field_t, strength=given.strength, properties=properties
    )
    if kept:
        kept.write_bytes(pickle.dumps(made))
    return made


def score(made: Scattered, field_t: float) -> Score:
    """Find the sources of a scan, and the spheres that they are."""
    radians_per_ppm = 2e-6 * np.pi * LARMOR_HZ_PER_T * field_t * ECHO_TIMES_S[0]
    found = strong_sources(made.scan, labels=nuclei(made.labels), radians_per_ppm=radians_per_ppm)
    size = np.array(made.scan.geometry.voxel_size)
    left, pairs = list(found), []
    for sphere in made.spheres:
        away = [float(np.linalg.norm((np.array(s.voxel) - sphere.centre) * size)) for s in left]
        near = min(range(len(left)), key=away.__getitem__, default=None)
        if near is None or away[near] > max(NEAR_MM, sphere.diameter_mm / 2):
            pairs.append((sphere, None))
        else:
            pairs.append((sphere, left.pop(near)))
    deep = scipy.ndimage.distance_transform_edt(made.scan.mask, sampling=size)
    depths = (float(deep[tuple(np.round(s.centre).astype(int))]) for s in made.spheres)
    return Score(tuple(pairs), tuple(depths), tuple(left), microbleeds(found))


def nuclei(labels: np.ndarray) -> LabelMap:
    """The deep nuclei of the head, the two sides of each together."""
    deep = range(tissue.CAUDATE, tissue.THALAMUS + 1)
    structures = tuple(Structure(n, tissue.TISSUES[n].name) for n in deep)
    return LabelMap(np.where(np.isin(labels, deep), labels, 0), structures)


def table(scores: Iterable[Score]) -> Iterator[str]:
    """Lines of the table."""
    scores = list(scores)
    yield f"{'':24}" + "".join(f"{name:>18}" for name in COLUMNS)
    pairs = [pair for one in scores for pair in one.pairs]
    for sign in (BLEED, CALCIFICATION):
        for low, high in CLASSES_MM:
            of = [(a, b) for a, b in pairs if a.sign == sign and low <= a.diameter_mm < high]
            yield f"{sign:13}{low:g} to {high:g} mm  " + "".join(f"{x:>18}" for x in _row(of))
    missed = [
        f"{sphere.sign} of {sphere.diameter_mm:.1f} mm, {depth_mm:.1f} mm from the edge of the mask"
        for one in scores
        for (sphere, source), depth_mm in zip(one.pairs, one.depths_mm, strict=True)
        if source is None
    ]
    yield f"missed: {'; '.join(missed) or 'none'}"
    false = [len(one.false) for one in scores]
    yield f"false: {np.mean(false):.1f} a scan ({', '.join(map(str, false))}), of which " + (
        ", ".join(_told(source) for one in scores for source in one.false) or "none"
    )
    yield f"count: {', '.join(str(one.count) for one in scores)}"


def _row(pairs: list[tuple[Sphere, Source | None]]) -> Iterator[str]:
    both = [(sphere, source) for sphere, source in pairs if source is not None]
    yield str(len(pairs))
    yield f"{100 * len(both) / max(len(pairs), 1):.0f}"
    if not both:
        return
    yield f"{100 * np.mean([sphere.sign == source.sign for sphere, source in both]):.0f}"
    true = np.array([sphere.contrast_ppb / 1000 * sphere.volume_mm3 for sphere, _ in both])
    moment = 100 * np.array([source.total_ppm_mm3 for _, source in both]) / true
    yield f"{moment.mean():.0f} +- {moment.std():.0f}"
    for volumes in ([s.thresholded_mm3 for _, s in both], [s.volume_mm3 for _, s in both]):
        ratio = np.array(volumes) / [sphere.volume_mm3 for sphere, _ in both]
        low, middle, high = np.percentile(ratio, (10, 50, 90))
        yield f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _told(source: Source) -> str:
    return f"{source.kind} of {source.peak_ppb:.0f} ppb, {source.diameter_mm:.1f} mm"


if __name__ == "__main__":
    main()
