"""Total field to the field of the tissue's own sources."""

from collections.abc import Callable
from typing import Any

from gadgetron_qsm.background.ismv import ismv
from gadgetron_qsm.background.lbv import lbv
from gadgetron_qsm.background.lbv_tv import lbv_tv
from gadgetron_qsm.background.pdf import pdf
from gadgetron_qsm.background.resharp import resharp
from gadgetron_qsm.background.vsharp import vsharp

METHODS: dict[str, Callable[..., Any]] = {
    "vsharp": vsharp,
    "resharp": resharp,
    "ismv": ismv,
    "pdf": pdf,
    "lbv": lbv,
    "lbv_tv": lbv_tv,
}
