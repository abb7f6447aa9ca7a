"""The raw scan of a sphere whose field is known; made with numpy alone, as the chain knows nothing.

A ball of uniform tissue is the brain; in it, off the centre, a sphere of chi = 0.3 ppm. Its field
is chi R^3 / (3 r^3) (3 cos^2 - 1) outside, and 0 inside (Lorentz' sphere taken off).
"""

from __future__ import annotations

import functools

import h5py
import numpy as np

from gadgetron_qsm.mrd.messages import ACQUISITION_HEADER, Acquisition

CHI_PPM, RADIUS_MM, BRAIN_MM = 0.3, 9.0, 38.0
CENTRE_MM = (6.0, -5.0, 8.0)  # of the sphere (z, y, x) from the centre of the field of view
MATRIX, VOXEL_MM = (34, 42, 44), (2.5, 2.0, 2.0)
TE_S = (0.005, 0.010, 0.015)
LARMOR_HZ = 123_200_000
NOISE = 0.01
NOISE_FLAG, NOISE_LINES = 1 << 18, 16

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
<experimentalConditions><H1resonanceFrequency_Hz>{larmor_hz}</H1resonanceFrequency_Hz>
</experimentalConditions><encoding><encodedSpace><matrixSize><x>88</x><y>42</y><z>34</z></matrixSize>
<fieldOfView_mm><x>176</x><y>84</y><z>85</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>44</x><y>42</y><z>34</z></matrixSize>
<fieldOfView_mm><x>88</x><y>84</y><z>85</z></fieldOfView_mm></reconSpace>
<encodingLimits>
<kspace_encoding_step_1><minimum>0</minimum><maximum>41</maximum><center>21</center>
</kspace_encoding_step_1>
<kspace_encoding_step_2><minimum>0</minimum><maximum>33</maximum><center>17</center>
</kspace_encoding_step_2>{limits}</encodingLimits><trajectory>cartesian</trajectory>{imaging}</encoding>
<sequenceParameters>{te}</sequenceParameters></ismrmrdHeader>"""


HALF_THE_LINES = """<parallelImaging><accelerationFactor>
<kspace_encoding_step_1>2</kspace_encoding_step_1><kspace_encoding_step_2>1</kspace_encoding_step_2>
</accelerationFactor><calibrationMode>embedded</calibrationMode></parallelImaging>"""
REPETITIONS = "<repetition><minimum>0</minimum><maximum>{}</maximum><center>0</center></repetition>"


def header_text(larmor_hz=LARMOR_HZ, repetitions=1, echoes=None, imaging=""):
    """The scan's MRD header; it says nothing of a single repetition."""
    limits = REPETITIONS.format(repetitions - 1) if repetitions > 1 else ""
    te = "".join(f"<TE>{1000 * te:g}</TE>" for te in TE_S[:echoes])
    return HEADER.format(larmor_hz=larmor_hz, limits=limits, te=te, imaging=imaging)


def turned(about_x_deg, about_y_deg):
    """Rows read, phase, slice in LPS, of a slab turned about x, then about y."""
    a, b = np.deg2rad([about_x_deg, about_y_deg])
    x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    return (np.array(y) @ x).T


SLAB = turned(40, -15)  # B0 is (0.74, 0.62, 0.26) along z, y, x


def distance(from_mm):
    axes = [
        (np.arange(n) - n // 2) * size - at
        for n, size, at in zip(MATRIX, VOXEL_MM, from_mm, strict=True)
    ]
    return np.meshgrid(*axes, indexing="ij")


def norm(vectors):
    return np.sqrt(sum(component**2 for component in vectors))


@functools.cache
def kspace(b0):
    """(echo, coil, kz, ky, kx) of the scan, with twofold oversampling along x, and noise lines.

    b0: its direction along the axes (z, y, x).
    """
    rng = np.random.default_rng(5)
    from_sphere, brain = distance(CENTRE_MM), norm(distance((0, 0, 0))) < BRAIN_MM
    r = np.maximum(norm(from_sphere), 1e-3)
    cosine = sum(b * component for b, component in zip(b0, from_sphere, strict=True)) / r
    outside = CHI_PPM / 3 * (RADIUS_MM / r) ** 3 * (3 * cosine**2 - 1)
    field_hz = np.where(r < RADIUS_MM, 0, outside) * LARMOR_HZ / 1e6
    coils = [
        np.exp(-norm(distance((0, 0, side * 60))) / 70 + 1j * (0.5 + side * from_sphere[1] / 40))
        for side in (-1, 1)
    ]
    first = MATRIX[2] - MATRIX[2] // 2
    images = np.zeros((len(TE_S), 2, *MATRIX[:2], 2 * MATRIX[2]), complex)
    for echo, te in enumerate(TE_S):
        signal = brain * np.exp(-te / 0.05 + 2j * np.pi * field_hz * te)
        for coil, sensitivity in enumerate(coils):
            images[echo, coil, ..., first : first + MATRIX[2]] = sensitivity * signal
    axes = (2, 3, 4)
    data = np.fft.ifftshift(images, axes=axes)
    data = np.fft.fftshift(np.fft.fftn(data, axes=axes, norm="ortho"), axes=axes)
    noise = rng.standard_normal((*data.shape, 2)) @ [NOISE, 1j * NOISE]
    lines = rng.standard_normal((NOISE_LINES, 2, data.shape[-1], 2)) @ [NOISE, 1j * NOISE]
    return (data + noise).astype(np.complex64), lines.astype(np.complex64)


def scan(slab=SLAB, repetition=0, *, scanned=SLAB, position=(0, 0, 0)):
    """The readouts as a scanner sends them: noise first, then echo after echo of each line.

    slab: the directions that the heads have; scanned: those that the data are of.
    """
    head = np.zeros((), ACQUISITION_HEADER)
    head["number_of_samples"], head["center_sample"] = 2 * MATRIX[2], MATRIX[2]
    head["active_channels"] = 2
    head["read_dir"], head["phase_dir"], head["slice_dir"] = slab
    head["position"] = position
    data, noise = kspace(tuple(scanned[::-1, 2].tolist()))
    for readout in noise:
        head["flags"] = NOISE_FLAG
        yield Acquisition(head.copy()[()], readout)
    head["flags"], head["idx"]["repetition"] = 0, repetition
    for kz, ky, echo in np.ndindex(MATRIX[0], MATRIX[1], len(TE_S)):
        head["idx"]["kspace_encode_step_2"], head["idx"]["kspace_encode_step_1"] = kz, ky
        head["idx"]["contrast"] = echo
        yield Acquisition(head.copy()[()], data[echo, :, kz, ky])


def write_raw(path, messages, text):
    """Write readouts and a header as an ISMRMRD file."""
    parts = h5py.vlen_dtype(np.float32)
    row = np.dtype([("head", ACQUISITION_HEADER), ("traj", parts), ("data", parts)])
    rows = np.empty(len(messages), row)
    for number, readout in enumerate(messages):
        rows[number] = readout.head, np.empty(0, np.float32), readout.data.view(np.float32).ravel()
    with h5py.File(path, "w") as file:
        file["dataset/xml"] = np.array([text], dtype=h5py.string_dtype())
        file["dataset/data"] = rows
