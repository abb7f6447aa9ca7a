"""Where things are in the procedural head: mm from the anterior commissure.

x to the patient's left, y to the back, z to the top of the head. Places and sizes follow what
MNI-space atlases of adults show (volumes in `tests/phantom/test_head.py`), rounded by hand.
"""

from __future__ import annotations

import numpy as np

from gadgetron_qsm.phantom import tissue
from gadgetron_qsm.phantom.shapes import Ellipsoid, Point, Shape, Tube

CEREBRUM = Ellipsoid((0, 17, 14), (66, 84, 62))  # inner table of the skull, as is the next
POSTERIOR_FOSSA = Ellipsoid((0, 58, -36), (53, 37, 33))
CEREBELLUM = Ellipsoid((0, 60, -37), (48, 31, 25))
CALLOSUM = Ellipsoid((0, 14, 6), (24, 46, 24))  # nothing above or below it joins the hemispheres

Painting = tuple[Shape, int]


def _both(*shapes: Shape) -> list[Shape]:
    return [side for shape in shapes for side in (shape, shape.mirrored())]


def _as(label: int, shapes: list[Shape]) -> list[Painting]:
    return [(shape, label) for shape in shapes]


def face_and_neck() -> list[Painting]:
    """Soft tissue below the cranium, its bones and its airway, in the order of painting."""
    soft: list[Shape] = [
        Ellipsoid((0, -32, -58), (60, 52, 62)),
        Ellipsoid((0, -78, -48), (11, 11, 20)),  # nose
        Tube([(0, 26, -60), (0, 30, -400)], [60, 62]),
    ]
    bone: list[Shape] = [
        Ellipsoid((0, -50, -52), (38, 26, 20)),  # maxilla
        Tube([(0, 44, -74), (0, 48, -400)], [17, 18]),  # spine
        *_both(Tube([(48, -6, -50), (46, -14, -92), (8, -64, -104)], [7, 7, 8])),  # mandible
    ]
    inner: list[Shape] = [
        Tube([(0, 48, -64), (0, 52, -400)], [8, 8]),  # spinal canal
        *_both(Ellipsoid((32, -60, -26), (13, 13, 12))),  # eyes
    ]
    air: list[Shape] = [
        *_both(Ellipsoid((5, -48, -46), (3.5, 26, 15))),  # nasal cavity
        *_both(Ellipsoid((27, -46, -48), (11, 14, 13))),  # maxillary sinus
        Tube([(0, -14, -54), (0, 6, -70), (0, 8, -400)], [6, 8, 9]),  # pharynx, trachea
    ]
    labels = (tissue.SOFT, tissue.BONE, tissue.SOFT, tissue.AIR)
    groups = (soft, bone, inner, air)
    return [p for label, group in zip(labels, groups, strict=True) for p in _as(label, group)]


def skull_base() -> list[Painting]:
    """Bone that stands into the base of the cranium, and its air cavities."""
    bone: list[Shape] = [
        Ellipsoid((0, -66, -10), (27, 10, 15)),  # around the frontal sinus
        Ellipsoid((0, -14, -38), (19, 16, 13)),  # sphenoid
        *_both(Tube([(56, 34, -36), (20, 16, -36)], [12, 6])),  # petrous bone, mastoid
    ]
    air: list[Shape] = [
        *_both(Ellipsoid((11, -67, -10), (9, 4.5, 9))),  # frontal sinus
        *_both(Ellipsoid((8, -15, -38), (7.5, 11, 8))),  # sphenoid sinus
        *_both(Ellipsoid((57, 40, -40), (6, 8, 9))),  # mastoid cells
        *_both(Tube([(86, 24, -34), (52, 22, -34)], [3.5, 3])),  # ear canal
        *_both(Ellipsoid((46, 22, -34), (4, 4, 5))),  # middle ear
    ]
    return _as(tissue.BONE, bone) + _as(tissue.AIR, air)


def brainstem() -> list[Painting]:
    """Cisterns around the brainstem, and the brainstem."""
    stem = Tube([(0, 20, -4), (0, 23, -28), (0, 37, -56), (0, 44, -70)], [15, 15, 8, 6])
    cistern = Ellipsoid((0, 24, -26), (25, 19, 17))
    return [(cistern, tissue.CSF), (stem, tissue.WHITE)]


def deep_structures() -> list[Painting]:
    """Nuclei of both sides and the ventricles, in the order of painting."""
    lateral: list[Shape] = [
        Tube(
            [(9, -27, 9), (8, -4, 19), (12, 16, 23), (22, 38, 17), (25, 62, 9)],
            [4.5, 4, 4.5, 6.5, 3],
        ),
        Tube([(22, 38, 17), (31, 24, -6), (31, 4, -16)], [4, 2, 2]),
    ]
    caudate: list[Shape] = [
        Ellipsoid((13.5, -14, 7), (5.5, 9.5, 8.5)),
        Tube([(14, -8, 12), (17, 6, 20), (21, 20, 21), (28, 34, 12)], [4.5, 4, 3, 2]),
    ]
    return [
        *_as(tissue.CAUDATE, _both(*caudate)),
        *_as(tissue.THALAMUS, _both(Ellipsoid((11, 18, 7), (8.5, 15, 9.5), (0, 0, -20)))),
        *_as(tissue.CSF, _both(*lateral)),
        *_as(tissue.PALLIDUS, _both(Ellipsoid((18.5, 2, -1), (4.6, 10.5, 8), (0, 0, -20)))),
        *_as(tissue.PUTAMEN, _both(Ellipsoid((27, -1, 1), (5.6, 16.5, 11.5), (0, 0, -12)))),
        *_as(tissue.NIGRA, _both(Ellipsoid((10, 16, -13), (2.6, 7.5, 6), (0, 40, -15)))),
        *_as(tissue.RED_NUCLEUS, _both(Ellipsoid((5, 20, -9), (3.8, 4.2, 4.5)))),
        *_as(tissue.DENTATE, _both(Ellipsoid((16, 59, -35), (4.8, 9, 6), (0, 0, -25)))),
        (Ellipsoid((0, 12, 0), (1.8, 13, 9)), tissue.CSF),  # third ventricle
        (Tube([(0, 24, -3), (0, 36, -22)], [1, 1]), tissue.CSF),  # aqueduct
        (Ellipsoid((0, 44, -32), (6, 5, 9)), tissue.CSF),  # fourth ventricle
    ]


def _sagittal_sinus() -> Tube:
    angles = np.radians(np.linspace(-60, 100, 17))  # from the forehead over the top to the back
    centre, semi = np.array(CEREBRUM.centre), np.array(CEREBRUM.semi_axes) - 1.5
    ring = np.stack([0 * angles, np.sin(angles), np.cos(angles)], axis=1)
    points = (centre + ring * semi).tolist()
    return Tube([tuple(point) for point in points], np.linspace(1.5, 3.5, 17).tolist())


def veins(rng: np.random.Generator) -> list[Painting]:
    """Dural sinuses, deep veins and seeded medullary and cortical veins; radii 0.8 to 3.5 mm."""
    sinus = _sagittal_sinus()
    middle: list[Shape] = [
        sinus,
        Tube([(0, 40, 8), (0, 62, 4), sinus.points[-1]], [1.8, 2.2, 2.5]),  # Galen, straight sinus
    ]
    sided: list[Shape] = [
        Tube([sinus.points[-1], (40, 78, -13), (52, 46, -27)], [3, 3, 3.5]),  # transverse
        Tube([(2, -2, 10), (2.5, 20, 15), (0, 40, 8)], [1, 1.2, 1.5]),  # internal cerebral
        Tube([(13, -2, 13), (15, 10, 15), (2, -2, 10)], [0.8, 0.9, 1]),  # thalamostriate
        Tube([(14, 0, -13), (17, 22, -9), (0, 40, 8)], [0.8, 1, 1.2]),  # basal
    ]
    drawn = [_medullary(rng) for _ in range(16)] + [_cortical(rng) for _ in range(16)]
    return _as(tissue.VEIN, [*middle, *_both(*sided), *drawn])


def _medullary(rng: np.random.Generator) -> Tube:
    side = rng.choice([-1.0, 1.0])
    start = np.array([side * 13, rng.uniform(-25, 35), 23])
    out = np.array([side * rng.uniform(8, 25), rng.uniform(-8, 8), rng.uniform(10, 20)])
    return _bent(rng, start, start + out, [1.0, 0.8, 0.8])


def _cortical(rng: np.random.Generator) -> Tube:
    angle, tilt = rng.uniform(-0.8, 1.2), rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
    place = [
        [np.sin(t), np.cos(t) * np.sin(angle), np.cos(t) * np.cos(angle)] for t in (tilt, tilt / 4)
    ]
    semi = np.array(CEREBRUM.semi_axes) - 2.5
    start, end = (np.array(CEREBRUM.centre) + np.array(p) * semi for p in place)
    middle = (start + end) / 2 - CEREBRUM.centre
    lifted = np.array(CEREBRUM.centre) + middle / np.linalg.norm(middle / semi)
    points: list[Point] = [tuple(p.tolist()) for p in (start, lifted, end)]
    return Tube(points, [0.8, 1.2, 1.5])


def _bent(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, radii: list[float]) -> Tube:
    middle = (start + end) / 2 + rng.uniform(-2, 2, 3)
    points: list[Point] = [tuple(p.tolist()) for p in (start, middle, end)]
    return Tube(points, radii)
