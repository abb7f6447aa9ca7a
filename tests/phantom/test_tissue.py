from __future__ import annotations

from pathlib import Path

import pytest

from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.phantom import tissue


def test_rows_of_a_table_replace_and_add(value_table):
    path = value_table("2,pallidus of mine,0.2,0.5,50\n40,nodule,1.5,0.6,70\n")
    tissues = tissue.load_tissues(path)
    assert tissues[2] == tissue.Tissue("pallidus of mine", 0.2, 0.5, 50)
    assert tissues[40].chi_ppm == 1.5
    assert tissues[3] == tissue.TISSUES[3]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("2,pallidus,high,0.5,50", "line 2: chi_ppm is 'high'"),
        ("2,pallidus,nan,0.5,50", "line 2: chi_ppm must be a finite"),
        ("2,pallidus,0.2,-0.5,50", "line 2: proton_density is -0.5"),
        ("2,pallidus,0.2,0.5,-1", "line 2: r2star_hz is -1"),
        ("2.5,pallidus,0.2,0.5,50", "line 2: label 2.5"),
        ("300,pallidus,0.2,0.5,50", "line 2: label 300"),
        ("2,pallidus,0.2", "line 2: a value is missing"),
        ("2,a,0.2,0.5,50\n2,b,0.2,0.5,50", "line 3: label 2 has a row"),
    ],
)
def test_a_bad_row_is_named_in_one_line(value_table, row, complaint):
    with pytest.raises(QsmError, match=complaint) as caught:
        tissue.load_tissues(value_table(row + "\n"))
    assert "\n" not in str(caught.value)


def test_a_table_without_a_column_is_refused(tmp_path):
    path = tmp_path / "values.csv"
    path.write_text("label,name,chi\n1,a,0.1\n")
    with pytest.raises(QsmError, match="no column chi_ppm, proton_density, r2star_hz"):
        tissue.load_tissues(path)


def test_an_absent_table_is_refused():
    with pytest.raises(QsmError, match="cannot read the value table"):
        tissue.load_tissues(Path("absent.csv"))


def test_r2star_holds_at_3_t_and_about_doubles_at_7_t():
    assert tissue.r2star_scale(3.0) == pytest.approx(1.0)
    assert 1.8 < tissue.r2star_scale(7.0) < 2.1
