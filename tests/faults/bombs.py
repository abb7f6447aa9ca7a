"""Headers that would cost memory or hours if they were believed, and what is to be said of each."""

from __future__ import annotations

import re

from tests.faults.small_scan import HEADER, header_text

PARAMETER = "<userParameterLong><name>a</name><value>1</value></userParameterLong>"
ENCODING = re.search("<encoding>.*</encoding>", HEADER, re.DOTALL)[0]
LAUGHS = "<!ENTITY a0 'lol'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)
)
PASSWORDS = "<!ENTITY a SYSTEM 'file:///etc/passwd'>"


def behind(text, ending="</ismrmrdHeader>"):
    return HEADER.replace(ending, f"{text}{ending}")


def with_parameters(count):
    return behind(f"<userParameters>{PARAMETER * count}</userParameters>")


def attributes(count):
    return " ".join(f"a{number}='1'" for number in range(count))


def in_front(text):
    return HEADER.replace("<ismrmrdHeader", f"{text}<ismrmrdHeader", 1)


def sized(x, y, z):
    matrix = f"<matrixSize><x>{x}</x><y>{y}</y><z>{z}</z></matrixSize>"
    fov_mm = f"<fieldOfView_mm><x>{x}</x><y>{y}</y><z>{z}</z></fieldOfView_mm>"
    text = re.sub("<matrixSize>.*?</matrixSize>", matrix, HEADER, flags=re.DOTALL)
    return re.sub("<fieldOfView_mm>.*?</fieldOfView_mm>", fov_mm, text, flags=re.DOTALL)


def with_echoes(count):
    times = "".join(f"<TE>{1 + n / 100}</TE>" for n in range(count))
    return re.sub("(<TE>.*?</TE>)+", times, HEADER).replace(
        "<maximum>1</maximum>", f"<maximum>{count - 1}</maximum>"
    )


# Each: what makes the header, and words of what is said of it.
HEADERS = {
    "tens of megabytes": (lambda: with_parameters(600_000), "size"),
    "many elements": (lambda: with_parameters(55_000), "elements"),
    "a long attribute": (lambda: HEADER.replace("HFS", "HFS' a='" + "x" * 50_000_000), "size"),
    "an attribute as long as it may be": (
        lambda: in_front(f"<!--{'x' * 4_000_000}-->") + "<",
        "valid XML",
    ),
    "many attributes": (
        lambda: HEADER.replace("<encoding>", f"<encoding {attributes(200_000)}>"),
        "the MRD header",
    ),
    "deep nesting": (lambda: behind("<a>" * 100_000 + "</a>" * 100_000), "levels deep"),
    "entities in entities": (
        lambda: in_front(f"<!DOCTYPE l [{LAUGHS}]>").replace("Doe", "&a9;"),
        "entities",
    ),
    "a file as an entity": (
        lambda: in_front(f"<!DOCTYPE l [{PASSWORDS}]>").replace("Doe", "&a;"),
        "entities",
    ),
    "65,535 voxels along each axis": (lambda: sized(65535, 65535, 65535), "65535"),
    "16,384 voxels along each axis": (lambda: sized(16384, 16384, 16384), "not enough"),
    "65,535 coils": (
        lambda: HEADER.replace("<receiverChannels>2", "<receiverChannels>65535"),
        "65535 receiver channels",
    ),
    "echoes by the thousand": (lambda: with_echoes(5000), "5000 echo"),
    "slices by the thousand": (
        lambda: header_text(slices=True).replace("<maximum>9<", "<maximum>65534<"),
        "lines are missing",
    ),
    "negative sizes": (lambda: sized(-28, -12, -10), "-28 as encodedSpace.matrixSize.x"),
    "limits beyond the matrix": (
        lambda: HEADER.replace("<maximum>11</maximum>", "<maximum>65535</maximum>"),
        "beyond the 12 of its matrix",
    ),
    "lines without a matrix around them": (lambda: sized(28, 16384, 10), "few of the 16384"),
    "voxels of nothing": (lambda: HEADER.replace("<z>40</z>", "<z>1e-300</z>"), "no such voxels"),
    "voxels of kilometres": (lambda: HEADER.replace("<z>40</z>", "<z>1e300</z>"), "no such voxels"),
    "encoding spaces by the thousand": (
        lambda: HEADER.replace("</encoding>", "</encoding>" + ENCODING * 2000),
        "2001 encodings",
    ),
}  # fmt: skip
