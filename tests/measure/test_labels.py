import numpy as np
import pytest

from gadgetron_qsm.measure.labels import LabelMap, Structure

LEFT, RIGHT = Structure(3, "putamen", "left"), Structure(7, "putamen", "right")
MIDDLE, LONE = Structure(9, "third ventricle"), Structure(4, "red nucleus", "right")
VALUES = np.array([[[0, 3, 3], [7, 9, 4]]], np.uint8)


def test_structures_are_where_their_numbers_are():
    labels = LabelMap(VALUES, (LEFT, RIGHT, MIDDLE))
    assert labels.mask(LEFT).tolist() == [[[False, True, True], [False, False, False]]]
    assert labels.mask(RIGHT).sum() == 1


def test_those_on_both_sides_are_pairs():
    labels = LabelMap(VALUES, (RIGHT, MIDDLE, LONE, LEFT))
    assert list(labels.pairs()) == [(LEFT, RIGHT)]


def test_a_label_names_the_side():
    assert LEFT.label == "left putamen"
    assert MIDDLE.label == "third ventricle"


@pytest.mark.parametrize(
    "wrong",
    [
        (LEFT, Structure(3, "thalamus")),
        (LEFT, Structure(4, "putamen", "left")),
        (Structure(0, "nothing"),),
    ],
)
def test_structures_that_cannot_be_told_apart_are_refused(wrong):
    with pytest.raises(ValueError, match=r"two structures|outside"):
        LabelMap(VALUES, wrong)
