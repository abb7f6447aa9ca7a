"""What is refused before anything is made of it: huge headers, matrices and messages."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc

import numpy as np
import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.limits import Limits
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, IMAGE_HEADER
from gadgetron_qsm.mrd.wire import read_message
from tests.encoded import bucket, image_array, recon_data

ENTITIES = (
    '<!DOCTYPE h [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><h>&i;</h>"
)
SYSTEM = "<acquisitionSystemInformation><receiverChannels>{}</receiverChannels>"
SYSTEM += "</acquisitionSystemInformation>"


def with_inside(text, inside):
    return text.replace("<experimentalConditions>", f"{inside}<experimentalConditions>", 1)


def with_matrix(text, size):
    before, _, after = text.partition("<matrixSize>")
    return f"{before}<matrixSize>{size}{after[after.index('</matrixSize>') :]}"


HUGE = "<x>65535</x><y>65535</y><z>65535</z>"
BOMBS = {
    "entities": (lambda _: ENTITIES, "entities"),
    "depth": (lambda text: with_inside(text, "<a>" * 100_000 + "</a>" * 100_000), "nested"),
    "elements": (lambda text: with_inside(text, "<a/>" * 900_000), "more than 100000 elements"),
    "matrix": (lambda text: with_matrix(text, HUGE), "a matrix of 65535 x 65535 x 65535"),
    "coils": (lambda text: with_inside(text, SYSTEM.format(65535)), "65535 receiver channels"),
    "no number": (lambda text: with_matrix(text, HUGE.replace("65535", "many")), "MRD header"),
    "cut": (lambda text: text[:300], "not valid XML"),
}


@pytest.mark.parametrize(("bomb", "words"), BOMBS.values(), ids=BOMBS)
def test_an_absurd_header_is_refused_in_one_line_soon_and_in_little_memory(
    header_text, bomb, words
):
    text = bomb(header_text())
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(QsmError, match=words) as refused:
            Header.parse(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert time.monotonic() - start < 5
    assert peak < 64 << 20


def test_a_header_with_every_user_parameter_is_read(header_text):
    many = "".join(
        f"<userParameterLong><name>a{n}</name><value>{n}</value></userParameterLong>"
        for n in range(15_000)
    )
    text = header_text().replace(
        "</ismrmrdHeader>", f"<userParameters>{many}</userParameters></ismrmrdHeader>"
    )
    assert len(text) > 1 << 20
    assert len(Header.parse(text).document.userParameters.userParameterLong) == 15_000


def a_readout(coils, samples, dimensions=0):
    head = np.zeros((), ACQUISITION_HEADER)
    head["active_channels"], head["number_of_samples"] = coils, samples
    head["trajectory_dimensions"] = dimensions
    return struct.pack("<H", 1008) + head.tobytes()


def an_image(channels, matrix):
    head = np.zeros((), IMAGE_HEADER)
    head["data_type"], head["channels"], head["matrix_size"] = 7, channels, matrix
    return struct.pack("<H", 1022) + head.tobytes() + struct.pack("<Q", 0)


@pytest.fixture
def limits(header_text):
    """Of 16 samples, 6 lines and 4 partitions of 8 coils."""
    return Limits.of_header(with_inside(header_text(), SYSTEM.format(8)))


@pytest.mark.parametrize(
    "encoded",
    [
        a_readout(65535, 16),
        a_readout(8, 65535, 3),
        a_readout(17, 16384),
        an_image(8, (4096, 4096, 1)),
        struct.pack("<HQ7Q", 1024, 7, 65535, 65535, 1, 1, 1, 1, 1),
        struct.pack("<HQ7Q", 1024, 7, 0, 1 << 31, 1 << 31, 1, 1, 1, 1),
        struct.pack("<HQ8Q", 1023, 1, 7, 65535, 65535, 1, 1, 1, 1, 1),
    ],
    ids=["coils", "trajectory", "samples", "image", "image array", "nothing of much", "buffer"],
)
def test_more_than_the_header_allows_is_refused_before_it_is_read(limits, encoded):
    with pytest.raises(QsmError, match=r"announces a size of .* most accepted of this scan"):
        read_message(io.BytesIO(encoded), limits)


PIXELS = np.zeros((512, 512, 2, 1, 1, 1, 1), np.complex64)
HEADS = np.zeros((1, 1, 1), IMAGE_HEADER)


def test_an_image_array_has_a_meta_for_each_image_at_most(limits):
    for metas in (["<a/>"], []):
        assert read_message(io.BytesIO(image_array(PIXELS, HEADS, metas)), limits).meta == metas
    with pytest.raises(QsmError, match="the number of metas announces a size of 2, more than 1"):
        read_message(io.BytesIO(image_array(PIXELS, HEADS, ["<a/>"] * 2)), limits)


def buffers(count):
    """A message of buffers, 4 MiB each with their headers."""
    one = recon_data(PIXELS, np.zeros((512, 2, 1, 1, 1), ACQUISITION_HEADER))[10:]
    return struct.pack("<HQ", 1023, count) + one * count


def test_there_are_buffers_of_as_many_encodings_as_the_header_has(header_text, limits):
    encoding = header_text()[header_text().index("<encoding>") :].partition("</encoding>")[0]
    twice = header_text().replace("<encoding>", f"{encoding}</encoding><encoding>")
    assert len(read_message(io.BytesIO(buffers(2)), Limits.of_header(twice)).bits) == 2
    with pytest.raises(QsmError, match="buffers announces a size of 2, more than 1"):
        read_message(io.BytesIO(buffers(2)), limits)


def test_the_parts_of_a_message_together_are_limited_as_each_is(make_acquisition):
    readout = make_acquisition(channels=8, samples=1 << 12)
    sent = {
        "a bucket": bucket([readout], [readout], []),
        "a message of reconstruction buffers": buffers(2),
        "an image array": image_array(PIXELS, HEADS, ["x" * PIXELS.nbytes]),
    }
    for what, encoded in sent.items():
        size = len(encoded) - 2
        read_message(io.BytesIO(encoded), Limits(array=size))
        with pytest.raises(QsmError, match=f"{what} announces a size of {size}, more than"):
            read_message(io.BytesIO(encoded), Limits(array=size - 1))


def test_noise_navigators_and_interpolated_images_may_be_larger_than_the_matrix(limits):
    data = bytes(8 * 16 * 16384)
    for encoded in (a_readout(16, 512), a_readout(2, 16384), an_image(1, (512, 512, 16))):
        read_message(io.BytesIO(encoded + data + bytes(8 * 512 * 512 * 16)), limits)


def test_a_header_that_tells_nothing_limits_nothing():
    for text in ("<header/>", "no XML", ENTITIES):
        assert Limits.of_header(text) == Limits()


@pytest.mark.parametrize(
    "name", ["client_gadgetron", "server_recondata_full", "server_bucket_r2", "server_images_r2"]
)
def test_what_real_peers_send_is_far_within_the_limits_of_its_header(recorded, name):
    incoming = io.BytesIO(recorded(name))
    read_message(incoming)
    limits = Limits.of_header(read_message(incoming).text)
    tight = Limits(limits.readout // 8, limits.image // 8, limits.array // 8)
    while type(read_message(incoming, tight)).__name__ != "Close":
        pass
