"""Raw scans of a few voxels, made line by line as scanners send them."""

from __future__ import annotations

import dataclasses

import numpy as np

from gadgetron_qsm.ingest import coil_images
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition
from gadgetron_qsm.settings import KSpaceSettings

ECHOES, COILS = 2, 2
HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><experimentalConditions>
<H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions><encoding>
<encodedSpace><matrixSize><x>{x2}</x><y>{y}</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>{x4}</x><y>{y3}</y><z>{z5}</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{shown}</x><y>{kept}</y><z>{z}</z></matrixSize>
<fieldOfView_mm><x>{fov_x}</x><y>{fov_y}</y><z>{z5}</z></fieldOfView_mm></reconSpace>
<encodingLimits>{limits}</encodingLimits><trajectory>cartesian</trajectory>{imaging}</encoding>
<sequenceParameters><TE>5</TE><TE>10</TE></sequenceParameters></ismrmrdHeader>"""
LIMIT = "<{name}><minimum>{0}</minimum><maximum>{1}</maximum><center>{2}</center></{name}>"
READ, PHASE, SLICE = np.eye(3)[[1, 2, 0]]


def header(
    z=4, y=6, x=8, *, kept=None, lines=None, partitions=None, imaging="", shown=None, **counted
):
    """Voxels of 2 x 3 x 5 mm (x, y, z), twofold oversampling along x; `kept` of y voxels.

    `lines` and `partitions` are (minimum, maximum, centre) of their counters; `shown` are the
    voxels along x that the console would interpolate to; `counted` how many there are of other
    counters, such as slice=3.
    """
    kept = kept or y
    named = {"kspace_encoding_step_1": lines, "kspace_encoding_step_2": partitions}
    named |= {name: (0, count - 1, 0) for name, count in counted.items()}
    limits = [LIMIT.format(*limit, name=name) for name, limit in named.items() if limit]
    sizes = {"shown": shown or x, "x2": 2 * x, "y": y, "kept": kept, "z": z}
    fovs = {"x4": 4 * x, "fov_x": 2 * x, "y3": 3 * y, "fov_y": 3 * kept, "z5": 5 * z}
    return Header.parse(HEADER.format(limits="".join(limits), imaging=imaging, **sizes, **fovs))


def random_complex(*shape):
    """Noise of variance 2, every time the same."""
    values = np.random.default_rng(7).standard_normal((*shape, 2))
    return values.astype(np.float32).view(np.complex64)[..., 0]


def to_kspace(images):
    axes = (-3, -2, -1)
    shifted = np.fft.ifftshift(images, axes=axes)
    return np.fft.fftshift(np.fft.fftn(shifted, axes=axes, norm="ortho"), axes=axes)


def oversampled(images):
    """k-space (echo, coil, kz, ky, kx) of images in the middle half of the field of view."""
    x = images.shape[-1]
    wide = np.zeros((*images.shape[:-1], 2 * x), complex)
    wide[..., x - x // 2 : 2 * x - x // 2] = images
    return to_kspace(wide)


def readout(data, flags=0, *, center=None, **idx):
    head = np.zeros((), ACQUISITION_HEADER)
    head["active_channels"], head["number_of_samples"] = data.shape
    head["center_sample"] = data.shape[1] // 2 if center is None else center
    head["read_dir"], head["phase_dir"], head["slice_dir"] = READ, PHASE, SLICE
    head["position"], head["flags"] = (1, 2, 3), flags
    head["measurement_uid"], head["acquisition_time_stamp"] = 77, 4200
    for name, value in idx.items():
        head["idx"][name] = value
    return Acquisition(head[()], np.ascontiguousarray(data, np.complex64))


def lines_of(kspace):
    """One readout a line, partition by partition, echo after echo."""
    for kz, ky, echo in np.ndindex(*kspace.shape[2:4], kspace.shape[0]):
        place = {"kspace_encode_step_1": ky, "kspace_encode_step_2": kz, "contrast": echo}
        yield readout(kspace[echo, :, kz, ky], **place)


def changed(line, data=None, **head):
    new = line.head.copy()
    for name, value in head.items():
        new[name] = value
    data = line.data if data is None else np.ascontiguousarray(data)
    new["number_of_samples"] = data.shape[1]
    return dataclasses.replace(line, head=new, data=data)


def flag(*numbers):
    return sum(1 << (number - 1) for number in numbers)


def assembled(messages, head=None, **settings):
    """Coil images of a stream of one repetition, as received unless `settings` say otherwise."""
    (images,) = repetitions(messages, head, **settings)
    return images


def repetitions(messages, head=None, **settings):
    """Coil images of each repetition of a stream."""
    settings = KSpaceSettings(**{"compression": "none", **settings})
    return list(coil_images(messages, head or header(), settings))


def assert_same(result, images):
    np.testing.assert_allclose(result.data, images, atol=1e-5)
