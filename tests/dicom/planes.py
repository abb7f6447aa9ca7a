"""Where the pixels of DICOM images lie, by nothing but PS3.3 equation C.7.6.2.1-1."""

from __future__ import annotations

import numpy as np
import pydicom


def points(dataset):
    """Patient coordinates (row, column, xyz) in LPS of the pixels of an image."""
    row, column = np.reshape(np.array(dataset.ImageOrientationPatient, float), (2, 3))
    between_rows, between_columns = map(float, dataset.PixelSpacing)
    j, i = np.ogrid[: dataset.Rows, : dataset.Columns]
    along_row = (i * between_columns)[..., np.newaxis] * row
    along_column = (j * between_rows)[..., np.newaxis] * column
    return np.array(dataset.ImagePositionPatient, float) + along_row + along_column


def read(files):
    """Stored values (slice, row, column), and where each lies (slice, row, column, xyz)."""
    slices = [pydicom.dcmread(file) for file in files]
    return np.stack([s.pixel_array for s in slices]), np.stack([points(s) for s in slices])
