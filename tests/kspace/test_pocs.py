from __future__ import annotations

import functools

import numpy as np
import pytest

from gadgetron_qsm.field.echo_fit import weighted_echo_fit
from gadgetron_qsm.field.romeo import romeo
from gadgetron_qsm.kspace.fourier import centred_fft, centred_ifft, crop_centre
from gadgetron_qsm.kspace.pocs import pocs
from tests.analytic import OBLIQUE, coordinates

AXES = pytest.mark.parametrize("axis", [0, 1, 2], ids=["kz", "ky", "kx"])


def six_eighths(shape, axis):
    """Ranges along kz, ky, kx of which the first quarter of `axis` was not acquired."""
    return tuple((n // 4 if i == axis else 0, n) for i, n in enumerate(shape))


def cut(image, acquired):
    """Hybrid space of the part of the image's k-space that was acquired."""
    kspace = np.zeros_like(image)
    box = tuple(slice(*limits) for limits in acquired)
    kspace[(..., *box)] = centred_fft(image, axes=[-3, -2, -1])[(..., *box)]
    return centred_ifft(kspace, axes=[-1])


def to_image(hybrid):
    return centred_ifft(hybrid, axes=[-3, -2])


def error_percent(found, true):
    return float(100 * np.linalg.norm(found - true) / np.linalg.norm(true))


def noise(*shape):
    real, imag = np.random.default_rng(4).standard_normal((2, *shape)).astype(np.float32)
    return real + 1j * imag


def sharp(shape):
    """Real blocks on a ground, sharp at their edges, without what k = -n/2 alone holds."""
    rng = np.random.default_rng(1)
    blocks = np.kron(rng.uniform(1, 3, [-(-n // 5) for n in shape]), np.ones((5, 5, 5)))
    kspace = centred_fft(blocks[tuple(slice(n) for n in shape)], axes=[0, 1, 2])
    for axis, n in enumerate(shape):
        if n % 2 == 0:
            np.moveaxis(kspace, axis, 0)[0] = 0
    return centred_ifft(kspace, axes=[0, 1, 2]).real


@AXES
@pytest.mark.parametrize("upper", [False, True], ids=["first lines missing", "last lines missing"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_an_object_of_one_phase_comes_back(axis, upper, everywhere):
    shape = (24, 27, 31)
    acquired = list(six_eighths(shape, axis))
    if upper:
        acquired[axis] = (0, shape[axis] - shape[axis] // 4)
    true = (sharp(shape) * np.exp(2j)).astype(np.complex64)
    hybrid = cut(true, acquired)
    zeros = error_percent(to_image(hybrid), true)
    pocs(hybrid, tuple(acquired), everywhere=everywhere, iterations=8)
    assert zeros > 3
    assert error_percent(to_image(hybrid), true) < (1e-3 if everywhere else 0.1 * zeros)


@AXES
def test_what_was_acquired_stays(axis):
    shape = (18, 20, 22)
    acquired = six_eighths(shape, axis)
    hybrid = cut(noise(*shape) + 3, acquired)
    before = hybrid.copy()
    pocs(hybrid, acquired)
    assert not np.array_equal(hybrid, before)
    box = tuple(slice(*limits) for limits in acquired)
    if axis < 2:
        np.testing.assert_array_equal(hybrid[box], before[box])
    kspace, was = (centred_fft(x, axes=[2]) for x in (hybrid, before))
    np.testing.assert_allclose(kspace[box], was[box], atol=2e-5)


@pytest.mark.parametrize(
    "acquired",
    [((0, 9), (0, 20), (0, 22)), ((0, 9), (3, 18), (0, 22)), ((1, 8), (1, 20), (4, 19))],
    ids=["all", "symmetric along ky", "symmetric"],
)
def test_without_asymmetry_nothing_changes(acquired):
    hybrid = noise(2, 9, 20, 22)
    before = hybrid.copy()
    pocs(hybrid, acquired)
    np.testing.assert_array_equal(hybrid, before)


def test_lines_acquired_on_neither_side_stay_zero():
    shape, acquired = (20, 21, 18), ((5, 20), (2, 17), (0, 18))
    hybrid = cut((sharp(shape) * np.exp(1j)).astype(np.complex64), acquired)
    pocs(hybrid, acquired, iterations=3)
    expected = np.zeros(shape[:2], bool)
    expected[5:20, 2:17] = True
    expected[1:16, 4:19] = True  # its mirror image
    np.testing.assert_array_equal(hybrid.any(axis=2), expected)


@AXES
def test_what_stands_where_nothing_was_acquired_is_of_no_account(axis):
    shape = (16, 18, 20)
    acquired = six_eighths(shape, axis)
    acquired = tuple((max(first, 1), n) for (first, n) in acquired)  # -n/2 has no mirror image
    clean, stained = (cut(noise(*shape) + 3, acquired) for _ in range(2))
    box = tuple(slice(*limits) for limits in acquired)
    stain = 0.3 * noise(*shape)
    stain[box] = 0
    for line in range(3):
        np.moveaxis(stain, line, 0)[0] = 0
    stained += centred_ifft(stain, axes=[2])
    pocs(clean, acquired)
    pocs(stained, acquired)
    np.testing.assert_allclose(stained, clean, atol=2e-5)


def test_coils_are_filled_each_for_itself():
    shape = (16, 18, 12)
    acquired = six_eighths(shape, 1)
    both = cut(noise(2, *shape) + 3, acquired)
    alone = both[1].copy()
    pocs(both, acquired)
    pocs(alone, acquired)
    np.testing.assert_array_equal(both[1], alone)


@pytest.mark.parametrize("signal", [0, 30])
def test_noise_is_not_doubled_by_its_mirror_image(signal):
    shape = (32, 32, 32)
    acquired = six_eighths(shape, 1)
    hybrid = cut(noise(*shape) + signal, acquired)
    pocs(hybrid, acquired)
    filled, mirrored = hybrid[:, 1:8], hybrid[:, 25:]
    assert (np.abs(filled) ** 2).mean() < 0.03 * (np.abs(mirrored) ** 2).mean()


def wave(shape, axis, cycles):
    n = shape[axis]
    line = np.cos(2 * np.pi * cycles * (np.arange(n) - n // 2) / n)
    return np.broadcast_to(line.reshape([-1 if i == axis else 1 for i in range(3)]), shape)


@AXES
def test_phase_that_is_detail_is_wiped_out_by_projection_alone(axis):
    shape, small = (32, 32, 32), 0.02
    acquired = six_eighths(shape, axis)
    waves = wave(shape, axis, 12) + wave(shape, axis, 6)  # beyond the symmetric centre, and in it
    true = np.exp(1j * small * waves).astype(np.complex64)
    left = {}
    for everywhere in (False, True):
        hybrid = cut(true, acquired)
        pocs(hybrid, acquired, everywhere=everywhere, iterations=8)
        phase = np.angle(to_image(hybrid))
        left[everywhere] = 2 * (phase * wave(shape, axis, 12)).mean() / small
    assert left[False] == pytest.approx(0.5, abs=0.01)  # as zero filling leaves it
    assert left[True] == pytest.approx(0, abs=0.01)


def test_an_asymmetric_echo_read_with_oversampling_is_filled_on_the_cropped_grid():
    shape, missing = (14, 16, 48), 23
    z, y, x = coordinates((*shape[:2], 96), (1, 1, 1))
    body = (x / 19) ** 2 + (y / 7) ** 2 + (z / 6) ** 2 < 1
    wide = (body * np.exp(1j * (0.1 * y + 0.002 * x**2))).astype(np.complex64)
    kspace = centred_fft(wide, axes=[2])
    true = crop_centre(wide, 48, axis=2)
    kspace[..., :missing] = 0
    first = 24 - (48 - missing) // 2  # rounded inwards
    hybrid = centred_fft(crop_centre(centred_ifft(kspace, axes=[2]), 48, axis=2), axes=[0, 1])
    zeros = error_percent(to_image(hybrid), true)
    pocs(hybrid, ((0, 14), (0, 16), (first, 48)))
    assert error_percent(to_image(hybrid), true) < 0.75 * zeros


@pytest.mark.parametrize(
    ("acquired", "said"),
    [
        (((0, 16), (10, 18), (0, 20)), "10 to 18 of 18 along ky do not lie around the centre, 9"),
        (((0, 16), (0, 9), (0, 20)), "along ky do not lie around the centre"),
        (((0, 17), (0, 18), (0, 20)), "along kz do not lie around the centre"),
        (((5, 16), (0, 18), (0, 20)), "along kz: the symmetric centre of 6 lines is too small"),
        (((0, 16), (0, 18), (0, 14)), "along kx: the symmetric centre of 6 lines is too small"),
    ],
)
def test_a_centre_that_gives_no_phase_is_refused(acquired, said):
    with pytest.raises(ValueError, match=said):
        pocs(noise(16, 18, 20), acquired)


# A vein of 0.4 ppm, radius 1.5 voxels, oblique to B0 and to the grid, in a brain with edges and
# texture, at 3 T. Its field is that of a long cylinder (Schenck 1996,
# doi:10.1118/1.597854); k-space is the centre of that of a threefold finer grid.
MATRIX, FINER = 40, 3
TE_S, LARMOR_HZ = (5e-3, 13e-3, 21e-3), 123.2e6
VEIN, VEIN_PPM, VEIN_RADIUS, VEIN_CENTRE = (0.5, 0.6, 0.6245), 0.4, 1.5, (0.3, -0.2, 0.4)


def vein_field(from_centre):
    """Field (z, y, x) of the vein in ppm, sphere of Lorentz taken off, and distance to its axis."""
    cosine = float(np.dot(VEIN, OBLIQUE))
    along = np.tensordot(VEIN, from_centre, 1)
    radial = from_centre - np.reshape(VEIN, (3, 1, 1, 1)) * along
    r = np.maximum(np.sqrt((radial**2).sum(axis=0)), 1e-9)
    across = np.tensordot(OBLIQUE, radial, 1) / r  # sin(theta) cos(phi)
    outside = VEIN_PPM / 2 * (VEIN_RADIUS / r) ** 2 * (2 * across**2 - (1 - cosine**2))
    return np.where(r < VEIN_RADIUS, VEIN_PPM / 6 * (3 * cosine**2 - 1), outside), r


@functools.cache
def brain_with_a_vein():
    """Images (echo, z, y, x), and the voxels of the brain within 5 voxels of the vein's axis."""
    n = MATRIX * FINER
    places = coordinates((n, n, n), (1 / FINER,) * 3)
    z, y, x = places
    field, r = vein_field(places - np.reshape(VEIN_CENTRE, (3, 1, 1, 1)))
    field += 0.3 * (z**2 - y**2) / 400 + 0.01 * x
    texture = np.sin(z / 1.7 + 1) * np.sin(y / 2.3) * np.sin(x / 2.9) > 0.2
    distance = np.sqrt((places**2).sum(axis=0))
    signal = (distance < 17) * (1 + 0.15 * texture)
    images = np.empty((len(TE_S), MATRIX, MATRIX, MATRIX), np.complex64)
    for echo, te in enumerate(TE_S):
        decay = np.exp(-te / np.where(r < VEIN_RADIUS, 0.02, 0.045))
        fine = signal * decay * np.exp(2e-6j * np.pi * LARMOR_HZ * te * field)
        kspace = centred_fft(fine.astype(np.complex64), axes=[0, 1, 2])
        for axis in range(3):
            kspace = crop_centre(kspace, MATRIX, axis)
        images[echo] = centred_ifft(kspace, axes=[0, 1, 2])
    every = (slice(n // 2 % FINER, None, FINER),) * 3
    return images, (r[every] < 5) & (distance[every] < 12)


@pytest.mark.parametrize("everywhere", [False, True])
def test_iterations_change_less_and_less(everywhere):
    true, near = brain_with_a_vein()
    acquired = six_eighths(near.shape, 2)
    found = {}
    for iterations in (1, 2, 8, 9):
        found[iterations] = cut(true[2], acquired)
        pocs(found[iterations], acquired, iterations=iterations, everywhere=everywhere)
    first, last = error_percent(found[1], found[2]), error_percent(found[8], found[9])
    assert 0.1 < first < 1
    assert last < 0.3 * first


def field_error_ppb(images):
    """Root mean square of the field's error near the vein against that of full sampling."""
    true, near = brain_with_a_vein()
    full, found = (
        weighted_echo_fit(
            romeo(np.angle(x), np.abs(x), TE_S), np.abs(x), TE_S, LARMOR_HZ
        ).total_field[near]
        for x in (true, images)
    )
    return 1e3 * float(np.sqrt(((found - full) ** 2).mean()))


@AXES
def test_near_a_vein_projection_harms_the_field_more_than_zeros_and_the_default_does_not(axis):
    true, near = brain_with_a_vein()
    acquired = six_eighths(near.shape, axis)
    field, image = {}, {}
    for way in ("zeros", "projection", "default"):
        hybrid = cut(true, acquired)
        if way == "projection":
            pocs(hybrid, acquired, iterations=8, everywhere=True)
        elif way == "default":
            pocs(hybrid, acquired)
        found = to_image(hybrid)
        field[way], image[way] = field_error_ppb(found), error_percent(found, true)
        print(
            f"6/8 along {'zyx'[axis]}, {way}: complex image {image[way]:.1f} % NRMSE, "
            f"field within 5 voxels of the vein {field[way]:.1f} ppb RMS"
        )
    assert image["projection"] < image["zeros"]
    assert field["projection"] > 1.2 * field["zeros"]
    assert image["default"] < 0.8 * image["zeros"]
    assert image["default"] < image["projection"]
    assert field["default"] < 1.02 * field["zeros"]
