from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from gadgetron_qsm import inversion
from gadgetron_qsm.errors import QsmError
from gadgetron_qsm.stage import run_stage
from tests.analytic import ball
from tests.stage.subject import (
    AFFINE,
    FIELD,
    MASK,
    PARAMS,
    SHAPE,
    SPHERE,
    TE_S,
    VOXEL_SIZE,
    changed,
    refused,
    save,
)


@pytest.mark.parametrize(
    ("name", "files", "missing"),
    [
        ("field-mapping", ("phase", "mask"), "magnitude.nii.gz"),
        ("bfr", ("mask",), "totalfield.nii.gz"),
        ("dipole", ("localfield",), "mask.nii.gz"),
        ("end-to-end", ("magnitude", "mask"), "phase.nii.gz"),
        ("chi-separation", ("mask", "magnitude"), "totalfield.nii.gz"),
        ("chi-separation", ("mask", "localfield", "chimap"), "magnitude.nii.gz"),
    ],
)
def test_a_missing_file_is_named(subject, name, files, missing):
    text = refused(name, subject(*files))
    assert text.startswith("there is no ")
    assert text.endswith(missing)


def test_missing_params_are_named(subject):
    folder = subject("localfield", "mask")
    (folder / "params.json").unlink()
    assert refused("dipole", folder) == f"there is no {folder}/params.json"


@pytest.mark.parametrize("key", ["TE", "B0", "B0_dir", "voxel_size"])
def test_a_missing_key_of_params_is_named(subject, key):
    folder = subject("localfield", "mask")
    (folder / "params.json").write_text(json.dumps({k: PARAMS[k] for k in PARAMS if k != key}))
    assert refused("dipole", folder).endswith(f"params.json has no {key}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TE", [4, 9, 16]),
        ("TE", [0.004, 0.003, 0.009]),
        ("TE", []),
        ("TE", "4 ms"),
        ("B0", 0),
        ("B0", 3000),
        ("B0", True),
        ("B0_dir", [0, 0, 0]),
        ("B0_dir", [0, 1]),
        ("B0_dir", "z"),
        ("B0_dir", [0, 0, float("nan")]),
        ("voxel_size", [1, 1, 0]),
        ("voxel_size", [0.0012, 0.0015, 0.002]),
        ("voxel_size", [1200, 1500, 2000]),
        ("voxel_size", 1),
        ("voxel_size", [1, 1, None]),
    ],
)
def test_a_value_of_params_that_cannot_be_is_refused(subject, key, value):
    folder = subject("localfield", "mask")
    changed(folder, **{key: value})
    assert f"params.json: {key} = " in refused("dipole", folder)


@pytest.mark.parametrize("name", ["params", "config"])
@pytest.mark.parametrize("text", ["{", "[1]", '"tv"', "\xff"])
def test_json_that_is_none_or_no_object_is_refused(subject, name, text):
    folder = subject("localfield", "mask")
    (folder / f"{name}.json").write_bytes(text.encode("latin-1"))
    assert f"{name}.json" in refused("dipole", folder)


def test_an_empty_mask_is_refused(subject):
    folder = subject("localfield")
    save(folder, "mask", np.zeros_like(MASK))
    assert refused("dipole", folder) == "mask.nii.gz is empty"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_field_that_is_not_finite_in_the_mask_is_refused(subject, wrong):
    folder = subject("mask")
    save(folder, "localfield", np.where(SPHERE, wrong, FIELD))
    assert refused("dipole", folder) == (
        "localfield.nii.gz has voxels that are not finite numbers in the mask"
    )


def test_echoes_that_are_not_finite_need_a_mask(subject):
    text = refused("field-mapping", subject("phase", "magnitude"))
    assert text.startswith("phase.nii.gz has voxels that are not finite")
    assert "there is no mask" in text


def test_another_shape_is_refused_with_both(subject):
    folder = subject("localfield")
    save(folder, "mask", MASK[:, :, :-1])
    text = refused("dipole", folder)
    assert "(30, 26, 22)" in text
    assert "(29, 26, 22)" in text


def test_another_place_is_refused(subject):
    folder = subject("localfield")
    turned = AFFINE @ np.diag([1, -1, 1, 1.0])
    image = nibabel.Nifti1Image(MASK.T.astype(np.uint8), turned)
    nibabel.save(image, folder / "mask.nii.gz")
    assert "different affines" in refused("dipole", folder)


def test_a_field_for_each_echo_is_refused(subject):
    folder = subject("mask")
    save(folder, "localfield", np.stack([FIELD, FIELD]))
    assert refused("dipole", folder) == "localfield.nii.gz has 4 dimensions; it must have 3"


def test_another_number_of_echo_times_is_refused(subject):
    folder = subject("phase", "magnitude", "mask")
    changed(folder, TE=TE_S[:2])
    assert "phase.nii.gz has 3 echoes, magnitude.nii.gz 3, and params.json 2 TE" in refused(
        "field-mapping", folder
    )


def test_phase_as_scanners_store_it_is_refused(subject):
    folder = subject("magnitude", "mask")
    save(folder, "phase", np.linspace(-4096, 4095, 3 * FIELD.size).reshape(3, *SHAPE))
    assert refused("field-mapping", folder) == "phase.nii.gz goes to 4096; it must be in rad"


@pytest.mark.parametrize("start", [-180, 0])
def test_phase_in_degrees_is_refused(subject, start):
    folder = subject("magnitude", "mask")
    save(folder, "phase", start + np.linspace(0, 359, 3 * FIELD.size).reshape(3, *SHAPE))
    text = refused("field-mapping", folder)
    assert text.startswith(f"phase.nii.gz goes from {start} to {start + 359}, as degrees do")


@pytest.mark.parametrize(
    ("name", "file", "factor"),
    [("bfr", "totalfield", 1000), ("dipole", "localfield", 128), ("dipole", "localfield", 1000)],
    ids=["total in ppb", "local in Hz at 3 T", "local in ppb"],
)
def test_a_field_in_another_unit_is_refused(subject, name, file, factor):
    folder = subject("mask")
    save(folder, file, factor * FIELD)
    text = refused(name, folder)
    assert text.startswith(f"{file}.nii.gz goes beyond")
    assert "it must be in ppm" in text


def test_a_field_that_is_off_in_few_voxels_is_no_other_unit(subject, tmp_path):
    folder = subject("mask")
    save(folder, "totalfield", np.where(ball(SHAPE, VOXEL_SIZE, 2.0), 300, FIELD))
    run_stage("bfr", folder, tmp_path)
    assert (tmp_path / "localfield.nii.gz").exists()


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("name", ["field-mapping", "dipole"])
def test_an_echo_without_magnitude_is_refused_by_its_number(subject, name, value):
    folder = subject("phase", "mask", "localfield")
    save(folder, "magnitude", np.stack([MASK * 1.0, MASK * value, MASK * 1.0]))
    assert refused(name, folder).startswith("echo 2 of magnitude.nii.gz is 0 everywhere, or less")


def test_a_magnitude_of_zeros_is_refused(subject):
    folder = subject("phase", "mask")
    save(folder, "magnitude", np.zeros((3, *SHAPE)))
    assert "magnitude.nii.gz is 0 everywhere" in refused("field-mapping", folder)


def test_a_local_field_of_zeros_is_refused(subject):
    folder = subject("mask")
    save(folder, "localfield", 0 * FIELD)
    assert refused("dipole", folder).startswith("the local field is 0 all over the mask")


def test_memory_that_runs_out_is_refused_in_words(subject, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("unable to allocate 9 TiB")

    monkeypatch.setitem(inversion.METHODS, "tv", fail)
    text = refused("dipole", subject("localfield", "mask"), "tv")
    assert text.startswith("inversion: not enough memory: unable to allocate 9 TiB; look at")


@pytest.mark.parametrize("kept", [0, 40, 400])
def test_a_truncated_file_is_refused(subject, kept):
    folder = subject("localfield", "mask")
    path = folder / "localfield.nii.gz"
    path.write_bytes(path.read_bytes()[:kept])
    assert f"cannot read {path}" in refused("dipole", folder)


def test_complex_images_are_refused(subject):
    folder = subject("mask")
    image = nibabel.Nifti1Image(FIELD.T.astype(np.complex64), AFFINE)
    nibabel.save(image, folder / "localfield.nii.gz")
    assert "does not hold real numbers" in refused("dipole", folder)


def test_an_output_that_cannot_be_written_is_refused(subject, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QsmError, match="cannot write"):
        run_stage("dipole", subject("localfield", "mask"), tmp_path / "file")


def test_a_mask_that_nothing_fits_is_refused_with_the_step(subject):
    folder = subject("totalfield")
    save(folder, "mask", ball(SHAPE, VOXEL_SIZE, 1.0))
    save(folder, "totalfield", FIELD)
    assert refused("bfr", folder, "vsharp").startswith("background: no sphere")
