import json

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.measure.labels import Structure
from gadgetron_qsm.measure.name_tables import names_beside, read_names, write_names

PUTAMINA = (Structure(1, "putamen", "left"), Structure(12, "putamen", "right"))
MIDDLE = Structure(5, "third ventricle")


@pytest.fixture
def table(tmp_path):
    def write(text, name="labels.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps({"0": "Unknown", "1": "L Putamen", "12": "Putamen_R"})),
        ("a.csv", "value,name\n1,left putamen\n12,right putamen\n"),
        ("a.csv", "\ufeffname, side, value\nputamen, L, 1\nputamen, Right, 12\n"),
        ("a.tsv", "index\tname\tcolor\n1\tLeft-Putamen\t#fff\n12\tRight-Putamen\t#000\n"),
    ],
)
def test_structures_are_read_from_json_and_tables(table, name, text):
    assert read_names(table(text, name)) == PUTAMINA


def test_what_is_written_is_read(tmp_path):
    write_names(tmp_path / "a.json", (*PUTAMINA, MIDDLE))
    assert read_names(tmp_path / "a.json") == (*PUTAMINA, MIDDLE)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "number,label\n1,putamen\n", "columns number, label.*value, name"),
        ("a.csv", "", "columns of nothing"),
        ("a.csv", "value,name\n", "names no structure"),
        ("a.csv", "value,name\nx,putamen\n", "'x'"),
        ("a.csv", "value,name\n-1,putamen\n", "'-1' named 'putamen'"),
        ("a.csv", "value,name\n1,\n", "'1' named ''"),
        ("a.csv", "value,name,side\n1,putamen,port\n", "side 'port'"),
        ("a.csv", "value,name,side\n1,left putamen,right\n", "side 'right'"),
        ("a.csv", "value,name\n1,putamen\n1,thalamus\n", "number 1 twice"),
        ("a.json", '{"1": "L Putamen", "2": "left putamen"}', "left putamen twice"),
        ("a.json", '{"EchoTime": "0.01"}', "EchoTime"),
        ("a.json", '{"1": 5}', "no names by number"),
        ("a.json", "[", "cannot read"),
    ],
)
def test_a_wrong_table_is_refused_in_a_line(table, name, text, told):
    with pytest.raises(QsmError, match=told):
        read_names(table(text, name))


def test_names_of_one_image_in_two_files_are_refused(tmp_path):
    for name in ("labels.csv", "labels.json", "other.json"):
        (tmp_path / name).touch()
    assert names_beside(tmp_path / "other.nii") == tmp_path / "other.json"
    assert names_beside(tmp_path / "none.nii") is None
    with pytest.raises(QsmError, match=r"labels\.json and labels\.csv"):
        names_beside(tmp_path / "labels.nii.gz")
