"""From the archive of an image to what OpenRecon installs, without a Docker engine."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from datetime import date

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from gadgetron_qsm import __version__, cli
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.openrecon.document import write_document
from gadgetron_qsm.openrecon.label import KEY, decoded, encoded, make_label, stem, tag
from gadgetron_qsm.openrecon.package import write_package
from gadgetron_qsm.parameters import PARAMETERS

RAW = make_label("raw", date(2026, 3, 9))


def saved(path, *, label=RAW, labels=None, architecture="amd64", tags=None, more=()):
    """An archive as `docker save` writes it, of an image without a layer."""
    labels = {KEY: encoded(label)} if labels is None else labels
    config = {"architecture": architecture, "os": "linux", "config": {"Labels": labels}}
    tags = [tag(label)] if tags is None else tags
    manifest = [{"Config": "c.json", "RepoTags": tags, "Layers": []}]
    with tarfile.open(path, "w") as archive:
        for name, content in {"manifest.json": manifest, "c.json": config, **dict(more)}.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_a_package_holds_image_and_document_under_the_names_of_the_label(tmp_path):
    archive = saved(tmp_path / "image.tar")
    files, image = write_package(archive, tmp_path / "out")
    name = f"OpenRecon_gadgetronqsm_QSM_V{__version__}"
    assert [file.name for file in files] == [f"{name}.tar", f"{name}.pdf", f"{name}.zip"]
    assert image.warnings == ()
    with zipfile.ZipFile(files[2]) as zipped:
        assert zipped.testzip() is None
        assert zipped.namelist() == [f"{name}.tar", f"{name}.pdf"]
        assert {member.compress_type for member in zipped.infolist()} == {zipfile.ZIP_DEFLATED}
        assert zipped.read(f"{name}.tar") == archive.read_bytes()
        assert zipped.read(f"{name}.pdf") == files[1].read_bytes()


def test_an_archive_that_has_its_name_already_stays_where_it_is(tmp_path):
    archive = saved(tmp_path / f"{stem(RAW)}.tar")
    before = archive.read_bytes()
    files, _ = write_package(archive, tmp_path)
    assert files[0] == archive
    assert archive.read_bytes() == before


def test_an_archive_on_another_disk_is_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    archive = saved(tmp_path / "image.tar")
    files, _ = write_package(archive, tmp_path / "out")
    assert files[0].read_bytes() == archive.read_bytes()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labels": {}}, "no OpenRecon label"),
        ({"labels": None, "architecture": "arm64"}, "--platform linux/amd64"),
        ({"tags": ["qsm:latest"]}, f"not tagged {tag(RAW)}"),
        ({"tags": []}, "not tagged"),
        ({"labels": {KEY: "e30="}, "tags": ["x"]}, "no OpenRecon label of ours"),
    ],
)
def test_an_image_that_the_host_could_not_take_is_refused(changed, says, tmp_path):
    with pytest.raises(QsmError, match=says):
        write_package(saved(tmp_path / "image.tar", **changed), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no archive" * 100])
def test_another_file_is_refused_with_what_to_do(content, tmp_path):
    (tmp_path / "image.tar").write_bytes(content)
    with pytest.raises(QsmError, match="docker save -o"):
        write_package(tmp_path / "image.tar", tmp_path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with tarfile.open(tmp_path / "image.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("manifest.json"))
    with pytest.raises(QsmError, match="not the archive of one image"):
        write_package(tmp_path / "image.tar", tmp_path)


def test_a_layout_of_a_newer_docker_is_warned_of(tmp_path):
    archive = saved(tmp_path / "image.tar", more={"oci-layout": {}}.items())
    assert "Docker 24" in write_package(archive, tmp_path / "out")[1].warnings[0]


def read(path):
    """The words of a PDF in their order, and its pages."""
    reader = PdfReader(path)
    assert {tuple(map(round, page.mediabox[2:])) for page in reader.pages} == {(595, 842)}
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split()), reader


@pytest.mark.parametrize("emitter", ["raw", "image"])
def test_the_document_tells_what_it_is_its_parameters_and_its_limits(emitter, tmp_path):
    label = make_label(emitter, date(2026, 3, 9))
    write_document(tmp_path / "a.pdf", label)
    text, reader = read(tmp_path / "a.pdf")
    assert reader.metadata.title == f"{label['general']['name']['en']} {__version__}"
    assert f"{reader.metadata.creation_date:%Y/%m/%d}" == "2026/03/09"
    assert "not for clinical use" in text
    assert tag(label) in text
    assert f"Emitter '{emitter}'" in text
    assert "not tried on a scanner" in text
    for parameter in PARAMETERS:
        default = {True: "on", False: "off", "": "none"}.get(parameter.default, parameter.default)
        shown = (parameter.choices or {}).get(default, default)
        assert f"{parameter.label} ({parameter.id}) {shown}" in text
        assert " | ".join((parameter.choices or {}).values()) in text


def test_documents_of_one_label_are_the_same(tmp_path):
    for name in "ab":
        write_document(tmp_path / name, RAW)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_document_of_many_parameters_keeps_to_its_pages(tmp_path):
    long = {"id": "x", "label": {"en": "Long"}, "type": "string", "default": "word " * 200}
    write_document(tmp_path / "a.pdf", {**RAW, "parameters": [long] * 14})
    text, reader = read(tmp_path / "a.pdf")
    assert text.count("word") == 14 * 200
    assert f"page {len(reader.pages)} of {len(reader.pages)}" in text
    assert 14 * 67 / 60 < len(reader.pages) < 14 * 67 / 40  # of three words a line
    for page in reader.pages:
        *lines, foot = sorted(heights(page), reverse=True)
        assert foot < 50 < 65 < lines[-1] <= lines[0] < 790


def heights(page):
    """Where lines of a page stand, in points from its lower edge."""
    found = []

    def see(text, matrix, *_):
        if text.strip():
            found.append(matrix[5])

    page.extract_text(visitor_text=see)
    return found


def run(*arguments):
    done = CliRunner().invoke(cli.app, ["openrecon", *arguments])
    return done.exit_code, done.output.strip()


def test_the_commands_print_a_label_for_the_build_and_write_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1773014400")  # 9 March 2026
    status, text = run("label", "--emitter", "image", "--vendor", "Clinic9", "--no-gpu")
    assert (status, decoded(text)["general"]["vendor"]) == (0, "Clinic9")
    assert decoded(text)["general"]["regulatory_information"]["manufacture_date"] == "2026/03/09"
    assert decoded(text)["reconstruction"]["can_use_gpu"] is False
    assert run("label", "--print", "tag") == (0, tag(RAW))
    assert json.loads(run("label", "--print", "json")[1]) == RAW
    archive = saved(tmp_path / "image.tar")
    status, text = run("package", str(archive), "--output", str(tmp_path / "out"))
    assert (status, text.count("written: ")) == (0, 3)


def test_a_choice_that_there_is_not_is_named():
    assert run("label", "--emitter", "both")[0] == 2
    assert run("label", "--print", "xml")[0] == 2
