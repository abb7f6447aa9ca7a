"""A crop of a real brain at 7 T through the chain: what chi its veins have, and a picture."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from gadgetron_qsm import chain
from gadgetron_qsm.coils.mcpc3ds import mcpc3ds
from gadgetron_qsm.coils.roemer import roemer
from gadgetron_qsm.data import Echoes
from gadgetron_qsm.geometry import Geometry
from gadgetron_qsm.processors import processors
from gadgetron_qsm.report.picture import draw, png
from gadgetron_qsm.settings import Settings
from tests.benchmarks.scores import deeper_than

ECHO_TIMES_S = (0.004, 0.008, 0.012)  # both are told by the text that came with the data
LARMOR_HZ = 298042350.0
PICTURE = Path("build/real-7t-crop.png")
DARK = 0.7  # of the surroundings: veins in the last echo
SURROUNDINGS_MM, RIM_MM = 2.0, 3.0
PLATE = 0.92  # a row along y whose median is darker is the falx


def report(labels: Path) -> None:
    """Print chi of the veins, relative to what is beside them, and leave a picture."""
    echoes = _crop(labels.parent.parent / "real-7t-crop")
    with processors():
        # of the magnitudes, the last echo's
        maps = {volume.name: volume for volume in chain.susceptibility([echoes], Settings())}
    inside = deeper_than(maps["mask"].data > 0, echoes.geometry.voxel_size, RIM_MM)
    veins = inside & _veins(maps["magnitude"].data, echoes.geometry.voxel_size)
    chi, mask = maps["chi"].data, maps["mask"].data > 0
    beside = chi[inside & ~veins]
    above = chi[veins] - beside.mean()
    PICTURE.parent.mkdir(exist_ok=True)
    shown = [maps[name] for name in ("magnitude", "local_field", "chi")]
    PICTURE.write_bytes(png(draw(shown)))
    print(
        f"\nreal brain at 7 T: mask {mask.mean():.0%} of the crop; veins ({veins.sum()} voxels) "
        f"{above.mean():+.0f} ppb on average, a tenth beyond {np.percentile(above, 90):+.0f}, "
        f"relative to the rest, whose SD is {beside.std():.0f} ppb; picture: {PICTURE}"
    )


def _crop(folder: Path) -> Echoes:
    """Echoes whose phase is 0 at TE = 0; the crop is axial, B0 along z."""
    magnitude, phase = (nibabel.load(folder / f"{name}.nii.gz") for name in ("Mag", "Phase"))
    size, angle = (image.get_fdata(dtype=np.float32).T for image in (magnitude, phase))
    z, y, x = (float(side) for side in magnitude.header.get_zooms()[2::-1])
    images = (size * np.exp(1j * np.pi / angle.max() * angle)).astype(np.complex64)[:, np.newaxis]
    geometry = Geometry(
        images.shape[2:], (z, y, x), (0.0, 0.0, 0.0), (-1.0, 0, 0), (0, -1.0, 0), (0, 0, 1.0)
    )
    with processors():
        data = roemer(images, mcpc3ds(images, ECHO_TIMES_S, geometry.voxel_size))
    return Echoes(data, ECHO_TIMES_S, LARMOR_HZ, geometry)


def _veins(late: np.ndarray, voxel_size: tuple[float, ...]) -> np.ndarray:
    """Dark against what is around them, but no part of the falx, a plate along y."""
    width = [SURROUNDINGS_MM / size for size in voxel_size]
    against = late / ndimage.gaussian_filter(late, width)
    falx = np.median(against, axis=1, keepdims=True) < PLATE
    falx = ndimage.binary_dilation(falx, np.ones((1, 1, 3)), iterations=2)
    return (against < DARK) & ~falx
