"""A scan of a cohort is done when all is there, and not before."""

from __future__ import annotations

import os
import shutil

import pytest

from gadgetron_qsm.cohort.finished import NAME, Input, read_finished, settings_hash
from gadgetron_qsm.cohort.task import Task, perform
from gadgetron_qsm.errors import QsmError

QUICK = {"preset": "fast", "inversion.iterations": "2", "deliver.maps": "chi"}
HASH = settings_hash("qsm", QUICK)


@pytest.fixture(scope="module")
def task(raw, tmp_path_factory):
    return Task("scan", raw, tmp_path_factory.mktemp("out") / "scan", HASH, overrides=QUICK)


@pytest.fixture(scope="module")
def done(task):
    return perform(task)


def test_what_is_noted_is_what_was_replayed(task, done):
    assert read_finished(task.folder) == done
    assert done.input == Input.of(task.raw)
    assert done.settings == HASH
    assert {"report.json", "images.h5", "report.html"} <= set(done.files)
    assert NAME not in done.files
    assert set(done.maps) >= {"chi 1", "magnitude 1 1", "mask 1"}


def test_maps_of_the_same_data_and_settings_have_the_same_hashes(task, done, tmp_path):
    again = perform(Task("scan", task.raw, tmp_path, HASH, overrides=QUICK))
    assert again.maps == done.maps
    other = perform(
        Task("scan", task.raw, tmp_path, HASH, overrides=QUICK | {"inversion.iterations": "3"})
    )
    assert other.maps["chi 1"] != done.maps["chi 1"]
    assert other.maps["magnitude 1 1"] == done.maps["magnitude 1 1"]


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_bytes(b"x")])
def test_results_that_are_not_whole_are_not_done(task, done, tmp_path, harm):
    folder = shutil.copytree(task.folder, tmp_path / "copy")
    assert read_finished(folder) == done
    harm(next(folder.rglob("*.dcm")))
    assert read_finished(folder) is None


def test_what_is_noted_of_before_goes_before_anything_is_replaced(task, done, tmp_path):
    folder = shutil.copytree(task.folder, tmp_path / "copy")
    assert read_finished(folder) == done
    with pytest.raises(QsmError):
        perform(Task("scan", tmp_path / "absent.h5", folder, HASH, overrides=QUICK))
    assert read_finished(folder) is None


def test_a_file_that_is_written_meanwhile_is_told(raw, tmp_path):
    copy = shutil.copy(raw, tmp_path / "scan.h5")
    found = Input.of(tmp_path / "scan.h5")
    os.utime(copy, ns=(0, found.modified_ns + 1))
    with pytest.raises(QsmError, match=r"scan\.h5 changed while it was replayed"):
        found.require_unchanged(tmp_path / "scan.h5")


def test_a_raw_file_is_not_replaced_by_its_images(raw, tmp_path):
    shutil.copy(raw, tmp_path / "images.h5")
    with pytest.raises(QsmError, match=r"images\.h5 would be replaced"):
        perform(Task("images", tmp_path / "images.h5", tmp_path, HASH, overrides=QUICK))
    assert (tmp_path / "images.h5").read_bytes() == raw.read_bytes()


def test_a_name_may_be_as_long_as_the_system_takes(raw, tmp_path):
    long = tmp_path / ("a" * 252 + ".h5")
    shutil.copy(raw, long)
    perform(Task("long", long, tmp_path / "out", HASH, overrides=QUICK))


def test_settings_are_the_same_when_they_come_to_the_same():
    assert settings_hash("qsm", {}) == settings_hash("qsm", {"preset": "standard"})
    assert settings_hash("qsm", {}) != settings_hash("qsm", {"preset": "fast"})
    assert settings_hash("qsm", {}) == settings_hash("qsm", {"device.use": "cpu"})
    assert settings_hash("qsm", {}) != settings_hash("qsm", {}, ("127.0.0.1", 9002))


def test_another_key_of_pseudonyms_is_another_setting(tmp_path):
    def hashed(**identity):
        return settings_hash("qsm", {f"identity.{key}": value for key, value in identity.items()})

    file = tmp_path / "key"
    file.write_text("another secret of the site\n")
    told = hashed(deidentify="true", key="the secret of the site")
    of_file = hashed(deidentify="true", key_file=str(file))
    assert told != hashed(deidentify="true", key="another secret of the site")
    file.write_text("the secret of the site\n")
    assert of_file != hashed(deidentify="true", key_file=str(file))
    file.unlink()
    assert of_file != hashed(deidentify="true", key_file=str(file))


def test_a_broken_note_is_none(tmp_path):
    for text in ("", "{", "[]", '{"schema": 1}', '{"schema": {"name": "x", "version": 1}}'):
        (tmp_path / NAME).write_text(text)
        assert read_finished(tmp_path) is None
    assert read_finished(tmp_path / "absent") is None
