"""Maps in three planes, in grey."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gadgetron_qsm.arrays import to_numpy
from gadgetron_qsm.data import Map
from gadgetron_qsm.dicom.kinds import Window, kind_of
from gadgetron_qsm.dicom.pixels import bright_window
from gadgetron_qsm.report.planes import Plane, middle, planes

TITLES = ("axial", "coronal", "sagittal")
EDGES = {"top": (0.5, 0.97), "bottom": (0.5, 0.03), "left": (0.03, 0.5), "right": (0.97, 0.5)}
OUTLINED, OUTLINE = "magnitude", "#ffb000"  # the map that the mask is drawn on; a colour
WIDTH_INCHES, TITLE_INCHES, GAP_INCHES, DPI = 9.0, 0.3, 0.1, 110
LEFT, RIGHT = 0.04, 0.91  # of the planes and the scale, in parts of the width
SCALE_WIDTH = 0.02  # in parts of that of three planes

Outline = tuple[NDArray[Any], str]


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG, without a word of text beside its pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def draw(
    maps: Sequence[Map],
    mask: Map | None = None,
    centre: Sequence[int] | None = None,
    outlines: Sequence[Outline] = (),
) -> Figure:
    """Return a figure with a row of three planes, and a scale, for each map, windowed.

    All maps share one geometry. The planes run through the voxel `centre` (z, y, x), by default the
    middle of the last map's non-zero voxels. The magnitude gets the outline of the `mask`, and
    every map the `outlines`, each a region (z, y, x) bool and a colour.
    """
    centre = middle(to_numpy(maps[-1].data)) if centre is None else centre
    figure, axes_of = _empty(len(maps), planes(to_numpy(maps[-1].data), maps[-1].geometry, centre))
    for row, (volume, axes) in enumerate(zip(maps, axes_of, strict=True)):
        _draw_row(figure, axes, volume, centre)
        lines = list(outlines)
        if volume.name == OUTLINED and mask is not None:
            lines.insert(0, (to_numpy(mask.data), OUTLINE))
        for region, colour in lines:
            _draw_outline(axes[:3], planes(region, volume.geometry, centre), colour)
        if row == 0:
            for ax, title in zip(axes[:3], TITLES, strict=True):
                ax.set_title(title, fontsize=9)
    return figure


def _empty(rows: int, shown: Sequence[Plane]) -> tuple[Figure, list[list[Axes]]]:
    """Lay out rows of three planes and a scale, a millimetre as long in each plane."""
    heights, widths = zip(*(plane.size_mm for plane in shown), strict=True)
    wide = WIDTH_INCHES * (RIGHT - LEFT) / (1 + SCALE_WIDTH)
    high = wide * max(heights) / sum(widths)
    inches = TITLE_INCHES + rows * (high + GAP_INCHES)
    figure = Figure(figsize=(WIDTH_INCHES, inches))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows,
        4,
        width_ratios=(*widths, SCALE_WIDTH * sum(widths)),
        left=LEFT,
        right=RIGHT,
        bottom=GAP_INCHES / inches,
        top=1 - TITLE_INCHES / inches,
        wspace=0.05,
        hspace=GAP_INCHES / high,
    )
    return figure, [[figure.add_subplot(grid[row, i]) for i in range(4)] for row in range(rows)]


def _draw_row(figure: Figure, axes: Sequence[Axes], volume: Map, centre: Sequence[int]) -> None:
    data = to_numpy(volume.data).astype(np.float32, copy=False)
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


def _draw_outline(axes: Sequence[Axes], region: Sequence[Plane], colour: str) -> None:
    """Draw where a region ends, half way between the voxels inside and those outside."""
    for ax, plane in zip(axes, region, strict=True):
        inside = np.pad(plane.image > 0, 1).astype(np.float32)  # closed at the image's edge
        if inside.any():  # or there is no line, of which matplotlib warns
            rows, columns = (np.arange(n) - 1 for n in inside.shape)
            limits = ax.axis()
            ax.contour(columns, rows, inside, levels=[0.5], colors=[colour], linewidths=0.8)
            ax.axis(limits)


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
