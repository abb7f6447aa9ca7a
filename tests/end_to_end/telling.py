"""A scan whose header says all it can of a patient, and what fails because of it or beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from io import BytesIO

from gadgetron_qsm import rehearsal
from gadgetron_qsm.mrd.messages import (
    Close,
    ConfigFile,
    ConfigText,
    Error,
    HeaderText,
    Message,
    Text,
)
from gadgetron_qsm.mrd.wire import write_message

NAME = "Zzyzxberg^Quetzalinda"
IDENTITY = f"""<subjectInformation><patientName>{NAME}</patientName>
<patientID>PID73TELL73</patientID>
<patientBirthdate>1947-02-13</patientBirthdate></subjectInformation><studyInformation>
<studyDate>2026-11-27</studyDate><studyID>STUDYTELL</studyID>
<accessionNumber>ACCTELL99</accessionNumber>
<referringPhysicianName>Drtelling^Xaverius</referringPhysicianName>
<studyDescription>MRT of Quetzalinda</studyDescription>
<studyInstanceUID>1.2.826.7777</studyInstanceUID></studyInformation>"""
USER = """<userParameters><userParameterString><name>PatientAlias</name><value>Koalatell</value>
</userParameterString></userParameters></ismrmrdHeader>"""
TELLING = re.compile(
    "zzyzxberg|quetzalinda|grebxyzyzz|pid73tell73|1947.?02.?13|1947, 2, 13|studytell|acctell99"
    "|7311991199|drtelling|xaverius|koalatell|1.2.826.7777",
    re.IGNORECASE,
)
HEADER = rehearsal.HEADER.replace(
    "<experimentalConditions>", f"{IDENTITY}<experimentalConditions>", 1
).replace("</ismrmrdHeader>", USER)

BY_SCHEMA = HEADER.replace("ACCTELL99", "7311991199")  # which wants a number there

BAD_HEADERS = {
    "an end that does not match": HEADER.replace("</patientName>", "</patientNam>"),
    "an unknown element": HEADER.replace("patientName>", "patientNam>"),
    "no more than the name": HEADER[: HEADER.index("</patientName>")],
    "no echo times": re.sub("<TE>.*?</TE>", "", HEADER),
    "a date that is none": HEADER.replace("1947-02-13", "13.2.1947, Zzyzxberg"),
    "weight of letters": HEADER.replace(
        "<patientID>", "<patientWeight_kg>Zzyzxberg</patientWeight_kg><patientID>"
    ),
}


READOUTS = tuple(rehearsal.readouts())
HALF = READOUTS[: len(READOUTS) // 2]
CONFIG = ConfigText("<configuration/>")


def stream(
    *first: Message,
    header: str = HEADER,
    readouts: Sequence[Message] = READOUTS,
    end: Message | None = None,
) -> bytes:
    """The bytes of a client: a configuration and more, the scan, and another end than CLOSE."""
    config, *more = first or [CONFIG]
    encoded = BytesIO()
    for message in (config, HeaderText(header), *more, *readouts, end or Close()):
        write_message(encoded, message)
    return encoded.getvalue()


def failing() -> dict[str, bytes]:
    """Streams that a server refuses, by what is wrong with them."""
    settings = {"identity.patient_name": NAME, NAME: "1"}
    parameters = {"parameters": {NAME: "Koalatell"}}
    return {
        **{what: stream(header=header) for what, header in BAD_HEADERS.items()},
        "half the lines": stream(readouts=HALF),
        "an error that the client tells": stream(end=Error(f"{NAME} moved")),
        "a configuration named like the patient": stream(ConfigFile(NAME)),
        "a parameter named like the patient": stream(CONFIG, Text(json.dumps(parameters))),
        **{f"a client that sets {key}": stream(config({key: settings[key]})) for key in settings},
    }


def config(properties: Mapping[str, object]) -> ConfigText:
    """A configuration as XML."""
    lines = (f'<property name="{key}" value="{value}"/>' for key, value in properties.items())
    return ConfigText(f"<configuration>{''.join(lines)}</configuration>")


# Put on PYTHONPATH it is run by every process: making DICOM objects then raises errors that quote
# the patient, once in code of which the text is kept and once in code of which it is not.
BROKEN = """
from gadgetron_qsm.dicom.of_scan import ScanObjects

def broken(self, volume):
    name = self._header.document.subjectInformation.patientName
    if volume.name == "chi":
        raise ValueError(f"cannot file {name}")
    inside = {"__name__": "gadgetron_qsm.dicom.invented"}
    exec("def quote(name): raise KeyError(name[::-1])", inside)
    inside["quote"](name)

ScanObjects.images = broken
"""
