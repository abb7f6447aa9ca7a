"""Single stages on folders of NIfTI files, by the QSM-CI contract."""

from gadgetron_qsm.stage.choice import described
from gadgetron_qsm.stage.run import run_stage

__all__ = ["described", "run_stage"]
