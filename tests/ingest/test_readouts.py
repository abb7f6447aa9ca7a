from __future__ import annotations

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.readouts import Sampling, extent, whole_readout
from gadgetron_qsm.mrd.header import Header
from tests.raw_scan import header

HEADER = header(4, 6, 8)  # 16 samples encoded, 8 kept


def sampled(samples, center, discard=(0, 0), *, reverse=False, space=0):
    return Sampling(samples, center, discard, reverse, space)


def with_space(matrix_x, fov_mm="<x>32</x><y>18</y><z>20</z>"):
    """Header of a scan with a second encoding space; twofold oversampling along x."""
    own = HEADER.text.split("<encoding>")[1].split("</encoding>")[0]
    own = own.replace("<x>16</x><y>6</y><z>4</z>", f"<x>{matrix_x}</x><y>6</y><z>4</z>", 1)
    own = own.replace("<x>32</x><y>18</y><z>20</z>", fov_mm, 1)
    text = HEADER.text.replace("</encoding>", f"</encoding><encoding>{own}</encoding>")
    return Header.parse(text)


@pytest.mark.parametrize(
    ("samples", "center", "encoded"),
    [(16, 8, 16), (13, 5, 16), (11, 8, 16), (16, 7, 16), (8, 4, 8), (6, 2, 8), (5, 4, 8)],
)
def test_oversampling_is_gone_where_readouts_reach_no_farther_than_without(
    samples, center, encoded
):
    assert whole_readout(HEADER, sampled(samples, center)) == (encoded, 8)


@pytest.mark.parametrize(("samples", "center", "encoded"), [(8, 4, 16), (4, 2, 8), (3, 1, 8)])
def test_in_a_space_of_fewer_samples_they_reach_less_far(samples, center, encoded):
    assert whole_readout(with_space(8), sampled(samples, center, space=1)) == (encoded, 8)


@pytest.mark.parametrize(
    "fov_mm",
    [
        "<x>34</x><y>18</y><z>20</z>",
        "<x>32</x><y>17</y><z>20</z>",
        "<x>32</x><y>18</y><z>40</z>",
    ],
)
def test_a_space_of_another_field_of_view_is_refused(fov_mm):
    with pytest.raises(QsmError, match="field of view"):
        whole_readout(with_space(8, fov_mm), sampled(8, 4, space=1))


def test_a_field_of_view_that_was_rounded_is_the_same():
    near = with_space(8, "<x>32.1</x><y>18</y><z>19.9</z>")
    assert whole_readout(near, sampled(8, 4, space=1)) == (16, 8)


@pytest.mark.parametrize(
    ("sampling", "reach"),
    [
        (sampled(16, 8), (-8, 7)),
        (sampled(16, 7, reverse=True), (-8, 7)),
        (sampled(13, 5), (-5, 7)),
        (sampled(13, 7, reverse=True), (-5, 7)),
        (sampled(16, 8, (3, 1)), (-5, 6)),
        (sampled(16, 7, (1, 3), reverse=True), (-5, 6)),
        (sampled(16, 5), (-5, 10)),
        (sampled(16, 4), (-4, 11)),
        (sampled(2, 1), (-1, 0)),
    ],
)
def test_the_extent_is_about_k0_read_forwards(sampling, reach):
    assert extent(sampling, 16) == tuple(k / 16 for k in reach)


@pytest.mark.parametrize(
    "sampling",
    [
        sampled(16, 0),
        sampled(16, 3),
        sampled(16, 15),
        sampled(3, 0),
        sampled(8, 0),
        sampled(8, 7),
        sampled(16, 8, (8, 0)),
        sampled(16, 8, (0, 7)),
    ],
)
def test_a_centre_too_far_aside_is_refused(sampling):
    with pytest.raises(QsmError, match=rf"sample {sampling.center} of {sampling.samples} .*center"):
        extent(sampling, 16)
