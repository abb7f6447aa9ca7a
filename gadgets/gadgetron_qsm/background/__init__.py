"""Total field to the field of the tissue's own sources."""

from gadgetron_qsm.background.vsharp import vsharp

METHODS = {"vsharp": vsharp}
