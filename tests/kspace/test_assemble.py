from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gadgetron_qsm.kspace.assemble import KY, KZ, Assembly
from gadgetron_qsm.kspace.fourier import centred_ifft

ECHOES, COILS, NX = 2, 2, 6
SIZES = [(3, 4), (4, 3), (5, 7), (1, 6)]


def places(nz, ny):
    """Echo, kz and ky of every line, each (line,)."""
    return tuple(i.ravel() for i in np.indices((ECHOES, nz, ny)))


def test_every_line_lies_at_its_place(image):
    lines = image(24, COILS, NX)
    assembly = Assembly((ECHOES, COILS, 3, 4, NX))
    assembly.add(lines, places(3, 4))
    expected = lines.reshape(ECHOES, 3, 4, COILS, NX).transpose(0, 3, 1, 2, 4)
    np.testing.assert_array_equal(assembly.hybrid(), expected)
    assert (assembly.count == 1).all()


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "batch by batch"])
def test_lines_that_come_more_than_once_are_averaged(image, together):
    lines = image(4, COILS, NX)
    at = np.array([1, 1, 2, 1])
    assembly = Assembly((1, COILS, 3, 4, NX))
    for batch in [slice(None)] if together else [slice(0, 1), slice(1, 3), slice(3, 4)]:
        assembly.add(lines[batch], (0 * at[batch], at[batch], at[batch]))
    np.testing.assert_allclose(assembly.hybrid()[0, :, 1, 1], lines[[0, 1, 3]].mean(0), atol=1e-6)
    np.testing.assert_array_equal(assembly.hybrid()[0, :, 2, 2], lines[2])
    assert (assembly.count[0, 1, 1], assembly.count[0, 2, 2]) == (3, 1)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((2, 0, 0), "echo 2 lies outside the 2 encoded"),
        ((0, -1, 0), "partition -1 lies outside the 3 encoded"),
        ((0, 0, 4), "line 4 lies outside the 4 encoded"),
    ],
)
def test_a_line_outside_the_matrix_is_refused_and_leaves_no_trace(image, place, said):
    assembly = Assembly((ECHOES, COILS, 3, 4, NX))
    with pytest.raises(ValueError, match=said):
        assembly.add(image(2, COILS, NX), tuple(np.array([0, index]) for index in place))
    assert not assembly.count.any()
    assert not assembly.data.any()


@pytest.mark.parametrize(("nz", "ny"), SIZES)
@pytest.mark.parametrize("axes", [(KZ, KY), (KY,)])
@pytest.mark.parametrize("streamed", [True, False])
def test_images_are_the_centred_transform_of_all_lines(image, nz, ny, axes, streamed):
    lines = image(ECHOES * nz * ny, COILS, NX)
    awaited = np.ones((nz, ny), int) if streamed else None
    assembly = Assembly((ECHOES, COILS, nz, ny, NX), axes=axes, awaited=awaited)
    assembly.add(lines, places(nz, ny))
    data = lines.reshape(ECHOES, nz, ny, COILS, NX).transpose(0, 3, 1, 2, 4)
    expected = centred_ifft(data, axes=axes)
    np.testing.assert_allclose(assembly.images((nz, ny)), expected, atol=1e-5)


def test_voxels_beyond_the_matrix_are_left_out(image):
    lines = image(ECHOES * 35, COILS, NX)
    whole, cut = (Assembly((ECHOES, COILS, 5, 7, NX)) for _ in range(2))
    for assembly in (whole, cut):
        assembly.add(lines, places(5, 7))
    expected = whole.images((5, 7))[:, :, 1:4, 1:5]
    np.testing.assert_allclose(cut.images((3, 4)), expected, atol=1e-6)


def test_partitions_are_transformed_as_soon_as_they_are_complete(image):
    lines = image(12, COILS, NX)
    assembly = Assembly((1, COILS, 3, 4, NX), awaited=np.ones((3, 4), int))
    echo, kz, ky = (index[:12] for index in places(3, 4))
    assembly.add(lines[:7], (echo[:7], kz[:7], ky[:7]))
    first = centred_ifft(lines[:4].transpose(1, 0, 2), axes=[1])
    np.testing.assert_allclose(assembly.data[0, :, 0], first, atol=1e-6)
    np.testing.assert_array_equal(assembly.data[0, :, 1, :3], lines[4:7].transpose(1, 0, 2))


def test_lines_of_all_partitions_are_transformed_where_those_are_complete_first(image):
    lines = image(12, COILS, NX)
    assembly = Assembly((1, COILS, 3, 4, NX), awaited=np.ones((3, 4), int))
    ky, kz = np.divmod(np.arange(4), 3)
    assembly.add(lines[:4], (0 * kz, kz, ky))
    first = centred_ifft(lines[:3].transpose(1, 0, 2), axes=[1])
    np.testing.assert_allclose(assembly.data[0, :, :, 0], first, atol=1e-6)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    size=st.sampled_from(SIZES),
    seed=st.integers(0, 2**32 - 1),
    came=st.floats(0.5, 1.5),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    streamed=st.booleans(),
)
def test_any_order_batches_and_repeats_of_lines_give_the_dense_transform(
    image, size, seed, came, cuts, streamed
):
    rng = np.random.default_rng(seed)
    lines = image(ECHOES * size[0] * size[1], COILS, NX)
    number = round(came * len(lines))
    order = rng.permutation(np.r_[np.arange(len(lines)), rng.integers(len(lines), size=len(lines))])
    order = order[:number]
    awaited = np.ones(size, int) if streamed else None
    assembly = Assembly((ECHOES, COILS, *size, NX), awaited=awaited)
    place = places(*size)
    for batch in np.split(order, sorted(round(cut * number) for cut in cuts)):
        assembly.add(lines[batch], tuple(index[batch] for index in place))
    data = np.where(np.isin(np.arange(len(lines)), order)[:, None, None], lines, 0)
    data = data.reshape(ECHOES, *size, COILS, NX).transpose(0, 3, 1, 2, 4)
    np.testing.assert_array_equal(assembly.count.ravel(), np.bincount(order, minlength=len(lines)))
    np.testing.assert_allclose(assembly.hybrid(), data, atol=1e-5)
    np.testing.assert_allclose(assembly.images(size), centred_ifft(data, axes=[2, 3]), atol=1e-5)
