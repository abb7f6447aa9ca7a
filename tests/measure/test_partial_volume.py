from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.measure.grids import cropped, divided
from gadgetron_qsm.measure.labels import LabelMap, Structure
from gadgetron_qsm.measure.partial_volume import corrected, shares, unmixed
from gadgetron_qsm.measure.resample import resampled
from gadgetron_qsm.measure.scan import Scan

PARTS = 3
NEAR, BESIDE, FAR = Structure(1, "putamen"), Structure(2, "globus pallidus"), Structure(3, "nigra")
TRUE = {NEAR: 40.0, BESIDE: 130.0, FAR: 90.0}
OBLIQUE = (0.8, 0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, -1.0)


@pytest.fixture
def labels():
    """Balls of four voxels and less across, two of them side by side, on the finer grid."""
    z, y, x = np.indices((36, 42, 48))
    values = np.zeros(z.shape, np.uint8)
    values[(z - 17) ** 2 + (y - 20) ** 2 + (x - 14) ** 2 < 6.5**2] = NEAR.value
    values[((z - 17) ** 2 + (y - 21) ** 2 + (x - 23) ** 2 < 5**2) & (values == 0)] = BESIDE.value
    values[(z - 8) ** 2 + (y - 10) ** 2 + (x - 40) ** 2 < 4.2**2] = FAR.value
    return LabelMap(values, (NEAR, BESIDE, FAR))


def seen(labels, noise=0.0):
    """Chi of the voxels, and the shares: -30 ppb around the structures."""
    filled = shares(labels, PARTS)
    chi = sum(share * (TRUE[structure] + 30) for structure, share in filled.items()) - 30
    return chi + noise * np.random.default_rng(4).standard_normal(chi.shape), filled


def test_shares_are_the_parts_of_the_voxels(labels):
    filled = shares(labels, PARTS)
    assert filled[NEAR].shape == (12, 14, 16)
    for structure, share in filled.items():
        assert share.sum() * PARTS**3 == pytest.approx(labels.mask(structure).sum(), rel=1e-5)
    assert filled[NEAR][5, 6, 4] == 1
    assert 0 < filled[NEAR][5, 6, 6] < 1


def test_means_are_what_the_structures_have_though_few_voxels_are_whole(labels):
    chi, filled = seen(labels)
    found = unmixed(chi, filled, np.ones(chi.shape, bool))
    for structure, value in TRUE.items():
        assert found[structure] == pytest.approx(value, abs=0.01)
        assert chi[filled[structure] > 0.5].mean() < value - 3


def test_noise_moves_them_little(labels):
    chi, filled = seen(labels, noise=3.0)
    found = unmixed(chi, filled, np.ones(chi.shape, bool))
    assert [found[s] for s in TRUE] == pytest.approx(list(TRUE.values()), abs=2.0)


def test_what_is_out_of_the_map_has_no_say(labels):
    chi, filled = seen(labels)
    valid = np.ones(chi.shape, bool)
    valid[:4, :, 10:] = False
    found = unmixed(np.where(valid, chi, 0), filled, valid)
    assert FAR not in found
    assert found[BESIDE] == pytest.approx(TRUE[BESIDE], abs=0.01)


def test_a_scan_is_corrected_in_the_box_of_its_labels(labels):
    """The labels are laid on a finer grid, which must be where theirs is."""
    sizes = (2.0, 1.5, 1.0)
    chi, filled = seen(labels)
    whole = np.zeros((20, 22, 25), np.float32) - 30
    at = (slice(4, 16), slice(3, 17), slice(6, 22))
    whole[at] = chi
    coarse = Geometry(whole.shape, sizes, (11.0, -7.0, 3.0), *OBLIQUE)
    values = np.zeros(whole.shape, np.uint8)
    for structure, share in filled.items():
        values[at][share > 0.5] = structure.value
    scan = Scan(whole, np.ones_like(whole), np.ones(whole.shape, bool), coarse)
    own = divided(cropped(coarse, at), (PARTS,) * 3)

    def lay(grid):
        return LabelMap(resampled(labels.values, own, grid, nearest=True), labels.structures)

    found = corrected(scan, LabelMap(values, labels.structures), lay)
    for structure, value in TRUE.items():
        assert found[structure] == pytest.approx(value, abs=12)
        assert abs(found[structure] - value) < abs(whole[values == structure.value].mean() - value)
