"""The readouts, images and connections of the tests of mrd."""

from tests.mrd.conftest import (
    connected,
    make_acquisition,
    make_image,
    make_waveform,
    rng,
    send,
    sockets,
)

__all__ = [
    "connected",
    "make_acquisition",
    "make_image",
    "make_waveform",
    "rng",
    "send",
    "sockets",
]
