"""A scan of a ball in a few voxels, whole in a tenth of a second, in every form that peers send.

It is made with numpy alone; twofold oversampling along x, two coils, two echoes, noise lines first.
"""

from __future__ import annotations

import dataclasses
import functools
import struct

import numpy as np

from gadgetron_qsm import chain
from gadgetron_qsm.mrd.header import Header
from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, IMAGE_HEADER, Acquisition, Image
from gadgetron_qsm.settings import Settings
from tests import encoded

NZ, NY, NX = MATRIX = (10, 12, 14)
VOXEL_MM = 4
ECHOES, COILS, NOISE_LINES, NOISE = 2, 2, 8, 0.01
NOISE_FLAG = 1 << 18
PROPERTIES = {"preset": "fast", "inversion.method": "tkd"}
CLOSE = struct.pack("<H", 4)

_SPACE = """<matrixSize><x>{0}</x><y>{1}</y><z>{2}</z></matrixSize>
<fieldOfView_mm><x>{3}</x><y>{4}</y><z>{5}</z></fieldOfView_mm>"""
_LIMIT = "<{0}><minimum>0</minimum><maximum>{1}</maximum><center>{2}</center></{0}>"
_HEADER = f"""<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<subjectInformation><patientName>Doe^Jane</patientName><patientID>PID_0815</patientID>
</subjectInformation>
<measurementInformation><patientPosition>HFS</patientPosition><protocolName>qsm</protocolName>
</measurementInformation>
<acquisitionSystemInformation><systemVendor>none</systemVendor>
<systemFieldStrength_T>2.89</systemFieldStrength_T><receiverChannels>{COILS}</receiverChannels>
</acquisitionSystemInformation>
<experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz>
</experimentalConditions>
<encoding><encodedSpace>{{encoded}}</encodedSpace>
<reconSpace>{{recon}}</reconSpace>
<encodingLimits>
{_LIMIT.format("kspace_encoding_step_1", NY - 1, NY // 2)}
{{limits}}
{_LIMIT.format("contrast", ECHOES - 1, 0)}
</encodingLimits><trajectory>cartesian</trajectory>{{imaging}}</encoding>
<sequenceParameters><TR>30</TR><TE>5</TE><TE>10</TE><flipAngle_deg>15</flipAngle_deg>
</sequenceParameters></ismrmrdHeader>"""
_IMAGING = """<parallelImaging><accelerationFactor>
<kspace_encoding_step_1>2</kspace_encoding_step_1><kspace_encoding_step_2>1</kspace_encoding_step_2>
</accelerationFactor><calibrationMode>embedded</calibrationMode></parallelImaging>"""


def header_text(*more_limits, imaging="", slices=False):
    """The header of the scan, with limits (counter, maximum, centre) beside those of lines."""
    z = 1 if slices else NZ
    sizes = [(n, NY, z, n * VOXEL_MM, NY * VOXEL_MM, z * VOXEL_MM) for n in (2 * NX, NX)]
    along_z = ("slice", NZ - 1, 0) if slices else ("kspace_encoding_step_2", NZ - 1, NZ // 2)
    return _HEADER.format(
        encoded=_SPACE.format(*sizes[0]),
        recon=_SPACE.format(*sizes[1]),
        limits="\n".join(_LIMIT.format(*limit) for limit in (along_z, *more_limits)),
        imaging=imaging,
    )


HEADER = header_text()
HEADERS = {
    "accelerated": header_text(imaging=_IMAGING),
    "repetitions": header_text(("repetition", 1, 0)),
    "slices": header_text(slices=True),
}


def config_text(more=()):
    """A client's configuration as XML: the quick settings, and more."""
    return text(2, configuration({**PROPERTIES, **dict(more)}))


def configuration(properties):
    lines = "".join(f'<property name="{key}" value="{v}"/>' for key, v in properties.items())
    return f"<configuration>{lines}</configuration>"


def config_name(name):
    """A client's configuration by its name, in 1024 bytes."""
    return struct.pack("<H1024s", 1, name.encode())


def text(kind, words, end=b""):
    """A message of text: 2 configuration, 3 header, 5 text; `end` is what some put behind it."""
    encoded_words = words.encode() + end
    return struct.pack("<HI", kind, len(encoded_words)) + encoded_words


@functools.cache
def readouts():
    """Noise, then echo after echo of each line (Acquisition)."""
    data, noise = _kspace()
    head = np.zeros((), ACQUISITION_HEADER)
    head["version"], head["measurement_uid"] = 1, 4711
    head["number_of_samples"], head["center_sample"] = 2 * NX, NX
    head["active_channels"] = head["available_channels"] = COILS
    head["sample_time_us"] = 5
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    heads = []
    for line in noise:
        head["flags"] = NOISE_FLAG
        heads.append((head.copy()[()], line))
    head["flags"] = 0
    for kz, ky, echo in np.ndindex(NZ, NY, ECHOES):
        head["idx"]["kspace_encode_step_2"], head["idx"]["kspace_encode_step_1"] = kz, ky
        head["idx"]["contrast"] = echo
        head["scan_counter"] += 1
        heads.append((head.copy()[()], data[echo, :, kz, ky]))
    return [Acquisition(some, np.ascontiguousarray(line)) for some, line in heads]


@functools.cache
def images():
    """Complex echo images, as a chain in front of us would combine them (Image)."""
    head = np.zeros((), IMAGE_HEADER)
    head["version"], head["image_type"] = 1, 5
    head["field_of_view"] = VOXEL_MM * NX, VOXEL_MM * NY, VOXEL_MM * NZ
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    made = []
    for echo, volume in enumerate(_images()[:, 0, :, :, NX // 2 : NX // 2 + NX]):
        head["contrast"], head["image_index"] = echo, echo + 1
        made.append(Image(head.copy()[()], volume[np.newaxis].astype(np.complex64)))
    return made


def scan_of(form):
    """The messages of the scan in a form, encoded, one by one, without header and CLOSE."""
    return FORMS[form]()


def stream(form="acquisitions", config=None, header=None):
    """All that a peer sends, as one list of encoded messages."""
    config = config_text() if config is None else config
    return [config, text(3, header or HEADERS.get(form, HEADER)), *scan_of(form), CLOSE]


@functools.cache
def _acquisitions():
    return [encoded.message(readout) for readout in readouts()]


@functools.cache
def _accelerated():
    """Every other line, but all of them about the centre."""
    return [
        encoded.message(readout)
        for number, readout in enumerate(readouts())
        if number < NOISE_LINES or _kept(int(readout.head["idx"]["kspace_encode_step_1"]))
    ]


def _kept(ky):
    return ky % 2 == 0 or abs(ky - NY // 2) < NY // 3


@functools.cache
def _repeated():
    """The scan twice, as repetitions."""
    again = []
    for readout in readouts()[NOISE_LINES:]:
        head = readout.head.copy()
        head["idx"]["repetition"] = 1
        again.append(encoded.message(dataclasses.replace(readout, head=head)))
    return [*_acquisitions(), *again]


@functools.cache
def _slices():
    """The scan slice by slice: k-space along y and x alone."""
    hybrid = np.fft.fftshift(_fft(_images(), (3, 4)), axes=(3, 4)).astype(np.complex64)
    sent = _acquisitions()[:NOISE_LINES]
    for number, readout in enumerate(readouts()[NOISE_LINES:]):
        head, at = readout.head.copy(), number // ECHOES
        echo, z, ky = number % ECHOES, at // NY, at % NY
        head["idx"]["kspace_encode_step_2"], head["idx"]["slice"] = 0, z
        head["position"] = 0, 0, (z - NZ // 2) * VOXEL_MM
        data = np.ascontiguousarray(hybrid[echo, :, z, ky])
        sent.append(encoded.message(dataclasses.replace(readout, head=head, data=data)))
    return sent


@functools.cache
def _combined():
    """Images that the first of our three gadgets sends the second, with all that they say."""
    header, settings = Header.parse(HEADER), Settings.from_properties(PROPERTIES)
    sent = chain.combined_images(iter(readouts()), header, settings)
    return [encoded.message(image) for image in sent]


@functools.cache
def _images_sent():
    return [encoded.message(image) for image in images()]


@functools.cache
def _bucket():
    return [encoded.bucket(readouts()[NOISE_LINES:], [], [])]


@functools.cache
def _recon_data():
    """Lines placed in a buffer, without oversampling as BucketToBuffer finds them."""
    data = np.fft.fftshift(_fft(_images()[..., NX // 2 : NX // 2 + NX]), axes=(2, 3, 4))
    buffer = data.astype(np.complex64).transpose(4, 3, 2, 1, 0)[..., np.newaxis, np.newaxis]
    heads = np.zeros((NY, NZ, ECHOES, 1, 1), ACQUISITION_HEADER)
    for ky, kz, echo in np.ndindex(NY, NZ, ECHOES):
        number = NOISE_LINES + (kz * NY + ky) * ECHOES + echo
        heads[ky, kz, echo] = readouts()[number].head
    heads["number_of_samples"], heads["center_sample"] = NX, NX // 2
    return [encoded.recon_data(buffer, heads)]


@functools.cache
def _image_array():
    data = np.stack([image.data[0].T for image in images()], axis=-1)[:, :, :, np.newaxis, :]
    heads = np.array([image.head for image in images()])[:, np.newaxis, np.newaxis]
    return [encoded.image_array(data[..., np.newaxis, np.newaxis], heads)]


FORMS = {
    "acquisitions": _acquisitions,
    "accelerated": _accelerated,
    "repetitions": _repeated,
    "slices": _slices,
    "images": _images_sent,
    "combined": _combined,
    "bucket": _bucket,
    "recon data": _recon_data,
    "image array": _image_array,
}


@functools.cache
def _images():
    """Images (echo, coil, z, y, x) with oversampling along x."""
    axes = [(np.arange(n) - n // 2) / (NZ / 2) for n in (NZ, NY, 2 * NX)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    ball = z**2 + y**2 + x**2 < 0.9
    field = z**2 - y**2 / 2 + 0.3 * np.exp(-8 * ((z - 0.2) ** 2 + y**2 + x**2))
    coils = [np.exp(side * y + 0.5j * side) for side in (-1, 1)]
    echoes = [ball * np.exp((1j * field - 0.1) * (echo + 1)) for echo in range(ECHOES)]
    return np.array([[coil * echo for coil in coils] for echo in echoes])


def _fft(images, axes=(2, 3, 4)):
    return np.fft.fftn(np.fft.ifftshift(images, axes=axes), axes=axes, norm="ortho")


def _kspace():
    rng = np.random.default_rng(0)
    data = np.fft.fftshift(_fft(_images()), axes=(2, 3, 4))
    noise = rng.standard_normal((NOISE_LINES, COILS, 2 * NX, 2)) @ [NOISE, 1j * NOISE]
    data = data + rng.standard_normal((*data.shape, 2)) @ [NOISE, 1j * NOISE]
    return data.astype(np.complex64), noise.astype(np.complex64)
