from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, SecretStr

from gadgetron_qsm.report.told import told
from gadgetron_qsm.settings import Settings


class Node(BaseModel):
    host: str = "pacs.magrathea"
    port: int = 104


class Section(BaseModel):
    number: float | None = 2.5
    choice: Literal["a", "b"] = "b"
    names: tuple[Literal["chi", "mask"], ...] = ("chi",)
    folder: Path | None = Path("/home/zaphod")
    key: SecretStr = SecretStr("hunter2")
    rule: str = "Zaphod"
    rules: tuple[str, ...] = ("Zaphod",)
    anything: Any = "Zaphod"
    table: dict[str, Literal["a"]] = {"Zaphod": "a"}
    nodes: tuple[Node, ...] = (Node(),)
    node: Node = Node()


def test_numbers_and_choices_are_told_and_whatever_takes_a_text_is_not():
    assert told(Section()) == {
        "number": 2.5,
        "choice": "b",
        "names": ("chi",),
        "node": {"port": 104},
    }


def test_a_method_is_told_with_every_parameter():
    settings = Settings.from_properties({"inversion.method": "tgv", "inversion.iterations": "7"})
    section = told(settings)["inversion"]
    assert section["method"] == "tgv"
    assert section["parameters"] == settings.inversion.complete()
    assert section["parameters"]["iterations"] == 7


@pytest.mark.parametrize("key", ["dicom_folder", "report_folder"])
def test_no_folder_is_told(key):
    deliver = told(Settings.from_properties({f"deliver.{key}": "/archive/x"}))["deliver"]
    assert deliver["maps"] == ("chi", "r2star", "magnitude")
    assert key not in deliver
