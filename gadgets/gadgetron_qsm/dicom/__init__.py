"""Maps as DICOM series in the units that people read."""
