"""Lines that are no part of the image, waveforms, and the channels of the noise scan."""

from __future__ import annotations

import ismrmrd
import numpy as np

from gadgetron_qsm.phantom import Extras


def test_extra_lines_are_of_all_kinds_and_louder_than_the_image(variant):
    rows = variant("extra-lines")
    others = np.setdiff1d(np.arange(4, len(rows.heads)), rows.image)
    words = set(rows.heads["flags"][others].tolist())
    kinds = (23, 24, 26, 27, 28, 29, 30, 31)
    assert {flag for flag in kinds if any(word >> flag - 1 & 1 for word in words)} == set(kinds)
    assert not any(word >> flag - 1 & 1 for word in words for flag in (13, 14, 25))
    assert others[0] == 4  # before the first line of the image
    size = [np.abs(rows.samples[i]).mean() for i in others]
    assert min(size) > max(np.abs(rows.samples[i]).max() for i in rows.image)


def test_waveforms_cover_the_scan(variant):
    rows = variant("extra-lines")
    with ismrmrd.Dataset(rows.path, create_if_needed=False) as dataset:
        waves = [dataset.read_waveform(i) for i in range(dataset.number_of_waveforms())]
    assert {wave.waveform_id for wave in waves} == {0, 2}
    ticks = rows.heads["acquisition_time_stamp"]
    assert waves[0].time_stamp == ticks[0]
    assert waves[-1].time_stamp + 400 >= ticks[-1]
    assert all(wave.data.std() > 100 for wave in waves)


def test_idle_channels_are_in_the_noise_scan_alone(variant, plain):
    rows = variant("idle-channels")
    noise, image = rows.heads[:4], rows.heads[rows.image]
    assert set(noise["active_channels"]) == {5}
    assert set(image["active_channels"]) == {2}
    assert set(rows.heads["available_channels"]) == {5}
    mask = int(image["channel_mask"][0, 0])
    assert int(noise["channel_mask"][0, 0]) == 0b11111
    channels = [bit for bit in range(5) if mask >> bit & 1]
    assert channels not in ([0, 1], [3, 4])  # which a first or last few would be
    labels = rows.header.acquisitionSystemInformation.coilLabel
    assert [label.coilNumber for label in labels] == channels
    in_image = [
        rows.samples[i] - plain.kspace[h["idx"]["contrast"], :, kz, ky]
        for i, h, (kz, ky) in zip(rows.image, image, rows.places[rows.image], strict=True)
    ]
    in_image = np.concatenate(in_image, axis=1)
    expected = np.concatenate([rows.samples[i][channels] for i in range(4)], axis=1)
    got = (np.abs(in_image) ** 2).mean(axis=1) / (np.abs(expected) ** 2).mean(axis=1)
    np.testing.assert_allclose(got, 1, rtol=0.5)  # 64 samples of noise a channel


def test_masks_reach_beyond_64_channels(read_out, silent):
    rows = read_out(
        **{**silent, "matrix": (4, 4, 8), "coils": 64, "snr": 60.0}, extras=Extras(idle_channels=4)
    )
    bits = [sum(int(word).bit_count() for word in head["channel_mask"]) for head in rows.heads]
    assert bits == rows.heads["active_channels"].tolist()
    assert rows.heads["channel_mask"][0, 1] == 0b1111


def test_noise_can_go_unmeasured(variant, plain):
    rows = variant("no-noise")
    assert len(rows.image) == len(rows.heads)
    kz, ky = rows.places[0]
    assert not np.isclose(rows.samples[0], plain.kspace[0, :, kz, ky], rtol=1e-6).any()
