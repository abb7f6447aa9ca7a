import pytest

from gadgetron_qsm.dicom.regions import KNOWN as CODED
from gadgetron_qsm.measure.names import parsed


@pytest.mark.parametrize(
    ("given", "name", "side"),
    [
        ("L Putamen", "putamen", "left"),
        ("Left-Putamen", "putamen", "left"),
        ("putamen_R", "putamen", "right"),
        ("right putamen", "putamen", "right"),
        ("Putamen (right)", "putamen", "right"),
        ("R Caudate", "caudate nucleus", "right"),
        ("L Globus Pallidus externa", "globus pallidus externus", "left"),
        ("GPi_L", "globus pallidus internus", "left"),
        ("Left-Pallidum", "globus pallidus", "left"),
        ("Left-Thalamus-Proper", "thalamus", "left"),
        ("R Substantia-Nigra-pars-reticulata", "substantia nigra pars reticulata", "right"),
        ("ctx-lh-cuneus", "ctx cuneus", "left"),
        ("STN", "subthalamic nucleus", None),
        ("CSF", "CSF", None),
        ("Third ventricle", "third ventricle", None),
        ("nucleus l inferior", "nucleus l inferior", None),
        ("left and right fornix", "left and right fornix", None),
        ("R", "r", None),
        ("L Red\x1b\x00Nucleus\n", "red nucleus", "left"),
    ],
)
def test_the_side_is_taken_out_and_the_rest_is_the_fields_name(given, name, side):
    assert parsed(given) == (name, side)


def test_the_fields_names_are_those_that_have_a_code():
    for given in ("caudate", "pallidum", "RN", "sn", "STN", "thalamus proper", "csf"):
        assert parsed(given)[0] in CODED
