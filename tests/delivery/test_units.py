"""Messages are cut and joined as PS3.8 says."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadgetron_qsm.delivery import units


@given(st.binary(max_size=300), st.integers(7, 100), st.sampled_from([0, 1]))
def test_data_come_back_from_units_no_longer_than_allowed(data, longest, head):
    back, heads = b"", []
    for unit in units.data_units(3, head, data, longest):
        kind, length = struct.unpack(">BxI", unit[:6])
        assert (kind, length) == (units.P_DATA, len(unit) - 6)
        assert length <= longest
        ((context, bits, part),) = units.fragments(unit[6:])
        assert context == 3
        heads.append(bits)
        back += part
    assert back == data
    assert heads == [head] * (len(heads) - 1) + [head | 2] * bool(heads)


def test_several_fragments_of_one_unit_are_told_apart():
    first, second = (b"".join(units.data_units(1, head, b"abc", 9))[6:] for head in (1, 0))
    assert list(units.fragments(first + second)) == [(1, 3, b"abc"), (1, 2, b"abc")]


@pytest.mark.parametrize(
    "body", [b"\0\0\0\0\0\0\0\2\1\3", b"\0\0\0\1\1\3", b"\0\0\0\3\1\3", b"\0\0\0\2\1"]
)
def test_fragments_that_do_not_fill_their_unit_are_refused(body):
    with pytest.raises(ValueError, match="a fragment is"):
        list(units.fragments(body))


def test_the_request_names_both_titles_and_every_context():
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    contexts = [("1.2.840.10008.1.1", "1.2.840.10008.1.2"), ("1.2.3", "1.2.840.10008.1.2.1")]
    request = A_ASSOCIATE_RQ()
    request.decode(units.associate_request("WE", "THEY", contexts))
    assert (request.calling_ae_title, request.called_ae_title) == ("WE", "THEY")
    offered = request.presentation_context
    assert [item.context_id for item in offered] == [1, 3]
    assert [(item.abstract_syntax, item.transfer_syntax[0]) for item in offered] == contexts


@pytest.mark.parametrize("body", [b"", b"\0\1\1", b"\0\1\1\7x"])
def test_a_rejection_has_four_bytes(body):
    with pytest.raises(ValueError, match="unpack"):
        units.rejection(body, "WE", "THEY")
