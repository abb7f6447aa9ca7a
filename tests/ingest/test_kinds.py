from __future__ import annotations

import pytest

from gadgetron_qsm.ingest.kinds import Kind, kind_of
from tests.raw_scan import flag, header, random_complex, readout

APART = (
    "<parallelImaging><accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1>"
    "<kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>"
    "<calibrationMode>separate</calibrationMode></parallelImaging>"
)


@pytest.mark.parametrize(
    ("flags", "space", "apart", "kind"),
    [
        ((), 0, False, Kind.IMAGE),
        ((1, 7, 25), 0, False, Kind.IMAGE),
        ((22,), 0, False, Kind.IMAGE),
        ((19,), 0, False, Kind.NOISE),
        ((19,), 1, False, Kind.NOISE),
        ((20,), 0, False, Kind.IMAGE),
        ((20,), 0, True, Kind.CALIBRATION),
        ((20,), 1, False, Kind.CALIBRATION),
        ((20, 21), 0, True, Kind.IMAGE),
        ((21,), 0, True, Kind.IMAGE),
        ((20, 23), 0, True, Kind.ASIDE),
        *(((number,), 0, False, Kind.ASIDE) for number in (23, 24, 26, 27, 28, 29, 30, 31)),
        ((), 1, False, Kind.ASIDE),
    ],
)
def test_flags_and_encoding_space_tell_what_a_readout_is_for(flags, space, apart, kind):
    head = readout(random_complex(2, 8), flag(*flags)).head.copy()
    head["encoding_space_ref"] = space
    assert kind_of(head, header(imaging=APART if apart else "")) is kind
