"""Whatever a peer sends, to coil images."""

from gadgetron_qsm.ingest.stream import coil_images

__all__ = ["coil_images"]
