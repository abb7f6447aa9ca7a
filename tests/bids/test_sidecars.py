"""What sidecars tell of scanner and sequence, where the header has more than the sphere's."""

from __future__ import annotations

import pytest

from gadgetron_qsm.bids.kinds import RAW
from gadgetron_qsm.bids.sidecars import of_echo
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.report.provenance import provenance
from tests.bids_scan import maps_of, private, settings_of
from tests.report.conftest import REPORT
from tests.sphere_scan import HALF_THE_LINES, header_text

LINES = "<minimum>0</minimum><maximum>41</maximum>"
PARTITIONS = "<minimum>0</minimum><maximum>33</maximum>"


@pytest.fixture
def told():
    """A function that returns the sidecar of an echo, of a header that is changed."""

    def tell(changes=None, methods=(), **of):
        text = private(header_text(**of))
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        header = Header.parse(text)
        stages = {**REPORT["provenance"], **{name: {"method": name} for name in methods}}
        report = {**REPORT, "provenance": stages}
        (volume, *_) = maps_of(header, ("magnitude",))
        made = provenance(header, settings_of(), report, [volume])
        return of_echo(volume, RAW["magnitude"], header, made)

    return tell


def test_acceleration_has_its_factors_and_its_name(told):
    found = told(imaging=HALF_THE_LINES, methods=["grappa", "coils"])
    assert found["ParallelReductionFactorInPlane"] == 2
    assert found["ParallelReductionFactorOutOfPlane"] == 1
    assert found["ParallelAcquisitionTechnique"] == "GRAPPA"
    assert found["CoilCombinationMethod"] == "coils"
    assert "grappa" in found["QSM"]["Methods"]
    assert "ParallelAcquisitionTechnique" not in told()


@pytest.mark.parametrize(
    ("old", "new", "part", "direction"),
    [
        (LINES, LINES.replace("0<", "10<"), 32 / 42, "PHASE"),
        (PARTITIONS, PARTITIONS.replace("33", "25"), 26 / 34, "SLICE_SELECT"),
    ],
)
def test_partial_fourier_has_its_part_and_its_direction(told, old, new, part, direction):
    found = told({old: new})
    assert found["PartialFourier"] == pytest.approx(part)
    assert found["PartialFourierDirection"] == direction
    assert not {"PartialFourier", "PartialFourierDirection"} & told().keys()


def test_several_repetition_times_are_none(told):
    found = told({"<TR>32</TR>": "<TR>32</TR><TR>40</TR>"})
    assert not {"RepetitionTime", "RepetitionTimeExcitation"} & found.keys()


def test_a_field_without_a_nominal_one_is_that_of_the_frequency(told):
    found = told({"<systemFieldStrength_T>3</systemFieldStrength_T>": ""})
    assert found["MagneticFieldStrength"] == 2.894


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("Head:1:H1", "Head:1:H2", "Head"), ("Head:1:H1", "Neck:1:N1", "Head;Neck")],
)
def test_a_coil_is_named_as_siemens_files_name_it(told, first, second, expected):
    found = told({"HC1": first, "HC2": second})
    assert found["ReceiveCoilName"] == expected
    assert found["ReceiveCoilActiveElements"] == f"{first};{second}"
    assert "ReceiveCoilName" not in told()
