"""What follows from each answer of a node."""

from __future__ import annotations

import pytest

from gadgetron_qsm.delivery.nodes import Caller, Later
from gadgetron_qsm.delivery.statuses import meaning_of, verdict
from gadgetron_qsm.delivery.store import Answer, store
from tests.delivery.objects import objects
from tests.delivery.peers import scripted


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([0x0000, 0xB000, 0xB006, 0xB007, 0xBFFF, 0x0107, 0x0111], "confirmed"),
        ([0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0122, 0x0117, 0x0106], "refused"),
        ([0xA700, 0xA7FF, 0x0213], "full"),
        ([0x0110, 0x0124, 0xFE00, 0x1234, 0xA800], "put off"),
    ],
)
def test_every_kind_of_status_has_its_consequence(statuses, expected):
    assert {verdict(status) for status in statuses} == {expected}


def test_a_status_is_told_in_words_and_number():
    assert meaning_of(0xA700) == "out of resources (A700)"
    assert meaning_of(0x0122) == "SOP class not supported (0122)"
    assert meaning_of(0x1234) == "status (1234)"


def answers_with(statuses):
    """A node that gives one status after the other."""
    from pynetdicom import evt

    left = list(statuses)
    return scripted([(evt.EVT_C_STORE, lambda _: left.pop(0))])


def test_each_object_gets_the_answer_that_the_node_gave_to_it():
    sent = objects(5)
    with answers_with([0x0000, 0xA900, 0xB000, 0xC000, 0x0000]) as node:
        answers = list(store(node, Caller(), sent))
    reasons = [None, "data set does not match SOP class (A900)", None, "cannot understand (C000)"]
    assert answers == [
        Answer(item.key, why) for item, why in zip(sent, [*reasons, None], strict=True)
    ]


def test_every_request_has_a_number_of_its_own():
    from pynetdicom import evt

    numbers = []

    def take(event):
        numbers.append(event.request.MessageID)
        return 0

    with scripted([(evt.EVT_C_STORE, take)]) as node:
        list(store(node, Caller(), objects(3)))
    assert numbers == [1, 2, 3]


def test_out_of_resources_ends_the_sending_at_once():
    sent = objects(3)
    with answers_with([0x0000, 0xA700, 0x0000]) as node:
        answers = store(node, Caller(), sent)
        assert next(answers) == Answer(sent[0].key)
        with pytest.raises(Later, match=r"scripted: out of resources \(A700\)"):
            next(answers)
    assert sent[2].reads == 0


def test_an_object_that_is_put_off_does_not_hold_up_the_others():
    sent = objects(4)
    answered = []
    with (
        answers_with([0x0000, 0x0110, 0x0000, 0x0110]) as node,
        pytest.raises(Later, match=r"2 objects put off: processing failure \(0110\)"),
    ):
        answered.extend(store(node, Caller(), sent))
    assert answered == [Answer(sent[0].key), Answer(sent[2].key)]
