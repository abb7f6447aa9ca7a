from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.kspace.compress import CoilCovariance, compress, compression_matrices

BOTH = pytest.mark.parametrize("method", ["gcc", "svd"])


def normal(rng, *shape):
    """Complex noise of variance 1."""
    real, imag = rng.normal(scale=np.sqrt(0.5), size=(2, *shape))
    return (real + 1j * imag).astype(np.complex64)


def unitary(rng, n):
    return np.linalg.qr(normal(rng, n, n))[0]


def covariance_of(lines):
    covariance = CoilCovariance(lines.shape[2], lines.shape[1])
    covariance.add(lines)
    return covariance


def matrices_of(lines, **options):
    return compression_matrices(covariance_of(lines), **options)


def signal(rng, count, amplitudes, coils, x):
    """Lines (line, coil, x) of as many orthogonal coil patterns as amplitudes; and the patterns."""
    patterns = unitary(rng, coils)[:, : len(amplitudes)] * np.array(amplitudes)
    return np.einsum("cp,lpx->lcx", patterns, normal(rng, count, len(amplitudes), x)), patterns


def share_kept(matrices, patterns):
    kept = np.einsum("xvc,cp->xvp", matrices, patterns)
    return (abs(kept) ** 2).sum() / len(matrices) / (abs(patterns) ** 2).sum()


def assert_orthonormal(matrices):
    gram = matrices @ matrices.conj().swapaxes(1, 2)
    eye = np.broadcast_to(np.eye(matrices.shape[1]), gram.shape)
    np.testing.assert_allclose(gram, eye, atol=1e-5)


@BOTH
@pytest.mark.parametrize(("x", "coils", "virtual"), [(16, 6, 3), (9, 5, 4), (1, 3, 2), (2, 1, 1)])
def test_virtual_coils_are_orthonormal(method, x, coils, virtual):
    lines = normal(np.random.default_rng(0), 20, coils, x)
    matrices = matrices_of(lines, method=method, coils=virtual)
    assert matrices.shape == (x if method == "gcc" else 1, virtual, coils)
    assert matrices.dtype == np.complex64
    assert_orthonormal(matrices)


@BOTH
def test_white_noise_stays_white(method):
    rng = np.random.default_rng(0)
    lines, _ = signal(rng, 40, [30, 10, 5, 2], 6, 8)
    matrices = matrices_of(lines + normal(rng, *lines.shape), method=method, coils=4)
    noise = compress(normal(rng, 4000, 6, 8), matrices)
    covariance = np.einsum("lvx,lwx->vw", noise, noise.conj()) / (4000 * 8)
    np.testing.assert_allclose(covariance, np.eye(4), atol=0.03)


@BOTH
def test_as_many_virtual_coils_as_coils_lose_nothing(method):
    lines = normal(np.random.default_rng(0), 30, 5, 9)
    matrices = matrices_of(lines, method=method, coils=5)
    virtual = compress(lines, matrices)
    whole = np.broadcast_to(matrices, (9, 5, 5))
    np.testing.assert_allclose(np.einsum("xvc,lvx->lcx", whole.conj(), virtual), lines, atol=1e-5)


@BOTH
@pytest.mark.parametrize(("share", "number"), [(0.5, 1), (0.95, 2), (0.995, 3), (1.0, 6)])
def test_the_number_is_the_smallest_that_keeps_the_share(method, share, number):
    lines, _ = signal(np.random.default_rng(0), 400, np.sqrt([90, 9, 0.9, 0.09, 0.01, 0.001]), 6, 8)
    matrices = matrices_of(lines, method=method, kept_energy=share, noise=0.0)
    assert matrices.shape[1] == number


def test_noise_does_not_count_as_signal():
    rng = np.random.default_rng(0)
    lines, _ = signal(rng, 3000, [4, 2], 12, 8)
    noisy = lines + normal(rng, *lines.shape)
    assert matrices_of(noisy, kept_energy=0.99).shape[1] == 2
    assert matrices_of(noisy, kept_energy=0.99, noise=0.0).shape[1] > 8


@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_kept_though_few_noisy_lines_tell_of_the_patterns(seed):
    rng = np.random.default_rng(seed)
    lines, patterns = signal(rng, 60, [1, 0.5, 0.25], 24, 16)
    matrices = matrices_of(lines + normal(rng, *lines.shape), kept_energy=0.95)
    assert share_kept(matrices, patterns) > 0.95


def test_noise_alone_leaves_all_coils():
    lines = normal(np.random.default_rng(1), 50, 8, 16)
    assert matrices_of(lines).shape[1] == 8


@pytest.mark.parametrize("scale", [1e-6, 1, 1e3])
def test_unknown_noise_is_that_of_the_weakest_direction(scale):
    rng = np.random.default_rng(0)
    lines, _ = signal(rng, 3000, [4, 2], 12, 8)
    noisy = np.float32(scale) * (lines + normal(rng, *lines.shape))
    assert matrices_of(noisy, kept_energy=0.98, noise=None).shape[1] == 2


def test_unknown_noise_is_told_though_coils_are_not_connected():
    rng = np.random.default_rng(0)
    lines, _ = signal(rng, 3000, [4, 2], 12, 8)
    noisy = np.insert(lines + normal(rng, *lines.shape), [3, 7], 0, axis=1)
    assert matrices_of(noisy, kept_energy=0.98, noise=None).shape[1] == 2


def test_the_number_has_an_upper_limit():
    lines = normal(np.random.default_rng(0), 50, 8, 16)
    assert matrices_of(lines, most=3).shape[1] == 3


def test_one_matrix_for_all_x_is_the_dense_singular_value_decomposition():
    lines, _ = signal(np.random.default_rng(0), 30, [9, 5, 3, 2, 1], 5, 7)
    rows = matrices_of(lines, method="svd", coils=3)
    left = np.linalg.svd(lines.transpose(1, 0, 2).reshape(5, -1))[0][:, :3]
    assert rows.shape == (1, 3, 5)
    np.testing.assert_allclose(rows[0].conj().T @ rows[0], left @ left.conj().T, atol=1e-4)


def turning(x, crossing):
    """Patterns (x, coil, 2) that turn slowly, and amplitudes (x, 2) that cross if asked to."""
    angle = np.linspace(0, 1, x)
    zero = np.zeros(x)
    first = np.stack([np.cos(angle), np.sin(angle), zero, zero], axis=1)
    second = np.stack([zero, zero, np.exp(1j * angle) * np.cos(angle), np.sin(angle)], axis=1)
    rise = np.linspace(0.5, 1.5, x)
    amplitudes = np.stack([rise, rise[::-1] if crossing else rise / 2], axis=1)
    return np.stack([first, second], axis=2), amplitudes


@pytest.mark.parametrize("x", [64, 65])
def test_a_matrix_for_each_x_finds_the_patterns_of_each_x(x):
    patterns, amplitudes = turning(x, crossing=True)
    weights = normal(np.random.default_rng(0), 300, 2, x)
    lines = np.einsum("xcp,xp,lpx->lcx", patterns, amplitudes, weights).astype(np.complex64)
    each, one = (matrices_of(lines, method=method, coils=2) for method in ("gcc", "svd"))
    lost = [1 - (abs(m @ patterns) ** 2).sum() / (2 * x) for m in (each, one)]
    assert lost[0] < 0.01 < 0.05 < lost[1]


@pytest.mark.parametrize("crossing", [True, False])
def test_virtual_coils_are_smooth_along_x(crossing):
    patterns, amplitudes = turning(64, crossing)
    weights = normal(np.random.default_rng(0), 3000, 2, 64)
    lines = np.einsum("xcp,xp,lpx->lcx", patterns, amplitudes, weights).astype(np.complex64)
    matrices = matrices_of(lines, coils=2)
    images = matrices @ patterns  # of the patterns, in the virtual coils
    assert abs(np.diff(images, axis=0)).max() < 0.1
    assert abs(np.diff(matrices, axis=0)).max() < 0.1


@BOTH
@pytest.mark.parametrize("alive", [slice(0, 0), slice(11, 17), slice(3, 4), slice(0, 25)])
def test_positions_without_any_signal_have_virtual_coils_too(method, alive):
    lines, _ = signal(np.random.default_rng(0), 30, [9, 5, 3], 5, 25)
    dead = np.zeros_like(lines)
    dead[..., alive] = lines[..., alive]
    assert_orthonormal(matrices_of(dead, method=method, coils=3))


def test_positions_without_signal_take_the_virtual_coils_of_the_others():
    rng = np.random.default_rng(0)
    lines, patterns = signal(rng, 2000, [9, 5, 3], 8, 25)
    lines[..., 5:] = 0
    matrices = matrices_of(lines + normal(rng, *lines.shape) / 10, coils=3)
    assert share_kept(matrices[-5:], patterns) > 0.99
    np.testing.assert_allclose(matrices[-1], matrices[0], atol=0.2)


@BOTH
def test_lines_that_are_not_white_yet_are_whitened_by_the_matrices(method):
    rng = np.random.default_rng(0)
    white, _ = signal(rng, 40, [9, 5, 3, 1], 5, 12)
    colour = np.linalg.cholesky(np.cov(normal(rng, 5, 50))).astype(np.complex64)
    whitening = np.linalg.inv(colour)
    folded = matrices_of(colour @ white, method=method, coils=3, whitening=whitening)
    direct = matrices_of(white, method=method, coils=3)
    assert_orthonormal(folded @ colour)
    projectors = [m.conj().swapaxes(1, 2) @ m for m in (folded @ colour, direct)]
    np.testing.assert_allclose(*projectors, atol=1e-3)


@pytest.mark.parametrize(("count", "coils", "x"), [(1, 3, 5), (64, 8, 16), (131, 5, 17)])
@pytest.mark.parametrize("positions", ["each", "one"])
@pytest.mark.parametrize("given", [True, False])
def test_compression_is_a_product_at_each_position(count, coils, x, positions, given):
    rng = np.random.default_rng(0)
    lines = normal(rng, count, coils, 2 * x)[..., x // 2 : x // 2 + x]  # as cropped: not in a row
    matrices = normal(rng, x if positions == "each" else 1, 2, coils)
    out = np.empty((count, 2, x), np.complex64) if given else None
    result = compress(lines, matrices, out)
    assert not given or result is out
    expected = np.einsum("xvc,lcx->lvx", np.broadcast_to(matrices, (x, 2, coils)), lines)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [(23,), (1, 22), (2, 5, 1, 1, 14)])
def test_the_covariance_is_the_sum_over_every_other_line(sizes):
    lines = normal(np.random.default_rng(0), 23, 4, 7)
    covariance = CoilCovariance(7, 4)
    for batch in np.split(lines, np.cumsum(sizes)[:-1]):
        covariance.add(batch)
    for half in (0, 1):
        part = lines[half::2]
        assert covariance.lines[half] == len(part)
        expected = np.einsum("lax,lbx->xab", part, part.conj())
        np.testing.assert_allclose(covariance.sums[half], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"coils": 5}, "5 virtual coils cannot be made of 4"),
        ({"coils": 0}, "0 virtual coils"),
        ({"most": 5}, "5 virtual coils cannot be made of 4"),
        ({"kept_energy": 0.0}, "kept energy"),
        ({"kept_energy": 1.1}, "kept energy"),
        ({"method": "pca"}, "'pca'"),
    ],
)
def test_arguments_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        matrices_of(normal(np.random.default_rng(0), 9, 4, 6), **options)


def test_fewer_than_two_lines_are_refused():
    with pytest.raises(ValueError, match="two lines"):
        matrices_of(normal(np.random.default_rng(0), 1, 4, 6))


@pytest.mark.parametrize(("value", "said"), [(np.nan, "finite"), (np.inf, "finite"), (40, "Herm")])
def test_an_impossible_covariance_is_refused(value, said):
    covariance = covariance_of(normal(np.random.default_rng(0), 9, 4, 6))
    covariance.sums[1, 2, 0, 3] = value
    with pytest.raises(ValueError, match=said):
        compression_matrices(covariance)
