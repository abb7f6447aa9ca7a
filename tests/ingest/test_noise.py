from __future__ import annotations

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.ingest.noise import Noise
from tests.raw_scan import changed, random_complex, readout

LINE = readout(random_complex(2, 8))


def noise(data, **head):
    heard = Noise()
    for part in np.split(data, 10, axis=1):
        heard.add(changed(readout(part), part, **head))
    return heard


def mask(*channels):
    words = np.zeros(16, np.uint64)
    for channel in channels:
        words[channel // 64] |= np.uint64(1 << channel % 64)
    return words


def test_without_noise_readouts_there_is_no_whitening():
    assert Noise().whitening(LINE.head) is None


def test_whitened_noise_has_unit_variance_and_no_correlation():
    mixing = np.array([[2, 0], [1 - 1j, 0.5]])
    data = mixing @ random_complex(2, 20000)
    whitening = noise(data).whitening(LINE.head)
    np.testing.assert_allclose(np.cov(whitening @ data), np.eye(2), atol=0.02)


def test_the_variance_grows_with_the_bandwidth_of_the_image():
    data = random_complex(2, 4000)
    slow = changed(LINE, sample_time_us=2.0).head
    fast = changed(LINE, sample_time_us=0.5).head
    whitening = [noise(data, sample_time_us=2.0).whitening(head) for head in (slow, fast)]
    np.testing.assert_allclose(whitening[1], whitening[0] / 2, rtol=1e-5)


@pytest.mark.parametrize("time_us", [0, -1, np.nan, np.inf])
def test_without_sample_times_the_bandwidths_are_taken_as_equal(time_us):
    data = random_complex(2, 4000)
    for head in (LINE.head, changed(LINE, sample_time_us=2.0).head):
        whitening = noise(data, sample_time_us=time_us).whitening(head)
        np.testing.assert_array_equal(whitening, noise(data).whitening(LINE.head))
    image = changed(LINE, sample_time_us=time_us).head
    np.testing.assert_array_equal(noise(data, sample_time_us=2.0).whitening(image), whitening)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (random_complex(2, 10) * np.nan, "not finite"),
        (random_complex(2, 10)[:, :0], "0 noise samples are too few"),
        (random_complex(2, 10) * 0, "have no noise"),
        (random_complex(1, 100).repeat(2, axis=0), "not positive definite"),
    ],
)
def test_noise_that_cannot_whiten_is_refused(data, said):
    with pytest.raises(QsmError, match=f"cannot be used: .*{said}.*; send those of the same coils"):
        noise(data).whitening(LINE.head)


@pytest.mark.parametrize("channels", [(0, 3), (3, 65), (65, 70)])
def test_receivers_are_matched_by_the_channel_masks(channels):
    there = (0, 3, 65, 70)
    data = random_complex(4, 4000) * np.array([[1], [2], [3], [4]])
    image = changed(LINE, channel_mask=mask(*channels)).head
    whitening = noise(data, channel_mask=mask(*there)).whitening(image)
    rows = [there.index(channel) for channel in channels]
    np.testing.assert_allclose(whitening, noise(data[rows]).whitening(LINE.head), rtol=1e-5)


def test_another_number_of_receivers_without_masks_is_refused():
    with pytest.raises(QsmError, match=r"have 4 coils and the image has 2.*masks do not tell"):
        noise(random_complex(4, 4000)).whitening(LINE.head)


def test_noise_of_changing_coils_is_refused():
    heard = noise(random_complex(2, 100))
    heard.add(readout(random_complex(3, 100)))
    with pytest.raises(QsmError, match="differ in their number of coils"):
        heard.whitening(LINE.head)
