"""One picture of a run: its maps in three planes, in grey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import Window, kind_of
from gadgetron_qsm.dicom.pixels import bright_window
from gadgetron_qsm.report.files import replacing
from gadgetron_qsm.report.planes import Plane, middle, planes

TITLES = ("axial", "coronal", "sagittal")
EDGES = {"top": (0.5, 0.97), "bottom": (0.5, 0.03), "left": (0.03, 0.5), "right": (0.97, 0.5)}
ROW_INCHES, WIDTH_INCHES, DPI = 2.7, 9.0, 110


def save_picture(path: Path, maps: Sequence[Map]) -> None:
    """Write a PNG with a row of three planes for each map, windowed, with a scale in its unit.

    All maps share one geometry. The planes run through the middle of the last map's non-zero
    voxels: give chi last. Raises QsmError when the file cannot be written.
    """
    figure = draw(maps)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DPI)


def draw(maps: Sequence[Map]) -> Figure:
    """Return the figure that `save_picture` writes; its axes are three planes and a scale a row."""
    figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * len(maps)))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(maps),
        4,
        width_ratios=(1, 1, 1, 0.05),
        left=0.05,
        right=0.91,
        bottom=0.02,
        top=1 - 0.1 / len(maps),
        wspace=0.05,
        hspace=0.05,
    )
    centre = middle(to_numpy(maps[-1].data))
    for row, volume in enumerate(maps):
        axes = [figure.add_subplot(grid[row, column]) for column in range(4)]
        _draw_row(figure, axes, volume, centre)
        if row == 0:
            for ax, title in zip(axes[:3], TITLES, strict=True):
                ax.set_title(title, fontsize=9)
    return figure


def _draw_row(figure: Figure, axes: Sequence[Axes], volume: Map, centre: Sequence[int]) -> None:
    data = to_numpy(volume.data).astype(np.float32)
    window = kind_of(volume).window or bright_window(data)
    *images, scale = axes
    for ax, plane in zip(images, planes(data, volume.geometry, centre), strict=True):
        _draw_plane(ax, plane, window)
    images[0].set_ylabel(kind_of(volume).description, fontsize=9)
    if volume.unit in ("", "a.u."):
        scale.set_axis_off()
    else:
        figure.colorbar(images[0].images[0], cax=scale).set_label(volume.unit, fontsize=8)
        scale.tick_params(labelsize=7)


def _draw_plane(ax: Axes, plane: Plane, window: Window) -> None:
    centre, width = window
    row_mm, column_mm = plane.spacing
    ax.imshow(
        plane.image,
        cmap="gray",
        vmin=centre - width / 2,
        vmax=centre + width / 2,
        aspect=row_mm / column_mm,
        interpolation="nearest",
    )
    ax.set_xticks([])
    ax.set_yticks([])
    for edge, letters in plane.edges.items():
        x, y = EDGES[edge]
        ax.text(
            x,
            y,
            letters,
            transform=ax.transAxes,
            color="yellow",
            bbox={"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 1},
            fontsize=8,
            ha=edge if edge in ("left", "right") else "center",
            va=edge if edge in ("top", "bottom") else "center",
        )
