from __future__ import annotations

import numpy as np

from gadgetron_qsm.arrays import array_module, to_numpy
from gadgetron_qsm.arrays.feed import DeviceFeed, HostFeed


def filled(feed, shape, value):
    batch = feed.buffer(shape)
    assert not batch.any()
    batch[...] = value
    return feed.send(batch)


def test_a_batch_stays_on_the_host():
    feed = HostFeed()
    batch = feed.buffer((2, 3))
    assert feed.send(batch) is batch


def test_batches_arrive_on_the_device_as_they_were(device):
    feed = DeviceFeed()
    for n, shape in enumerate([(2, 3), (4, 3), (1, 3), (5, 3), (5, 2)], start=1):
        there = filled(feed, shape, n)
        assert array_module(there) is array_module(device(np.zeros(1)))
        np.testing.assert_array_equal(to_numpy(there), np.full(shape, n, np.complex64))


def test_the_batch_before_is_still_there(device):  # noqa: ARG001 - it puts a device in place
    feed = DeviceFeed()
    first = filled(feed, (2, 3), 1)
    filled(feed, (4, 3), 2)
    np.testing.assert_array_equal(to_numpy(first), np.ones((2, 3)))


def test_a_copy_waits_for_what_was_done_with_its_room_and_all_later_work_for_the_copy(device):
    feed = DeviceFeed()
    compute = array_module(device(np.zeros(1))).cuda.get_current_stream()
    if not hasattr(compute, "waited_for"):  # a real stream does not tell
        return
    for n in range(3):
        filled(feed, (2, 3), n)
    upload = feed._upload
    assert [event.stream for event in compute.waited_for] == [upload] * 3
    assert [event.stream for event in upload.waited_for] == [compute] * 2
