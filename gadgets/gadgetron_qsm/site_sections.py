"""The sections of the settings about the site's machine: its server, disks and watchers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gadgetron_qsm.sections import Section


class ServerSettings(Section):
    """What `serve` and `gadget` allow their clients."""

    connections: int = Field(8, ge=1, le=64, description="scans at once; more are refused")
    warm: int = Field(1, ge=1, le=8, description="processes kept ready for the next scan")
    memory_gb: float | None = Field(
        None, gt=0, description="most memory for all scans together; default what is free"
    )
    silence_s: float = Field(
        600.0, gt=0, le=86400, description="that a client may be silent in the middle of a scan"
    )
    longest_s: float = Field(4 * 3600.0, gt=0, le=86400, description="that a scan may take")
    grace_s: float = Field(
        120.0, ge=0, le=86400, description="for scans to end when the server is stopped"
    )


class SpoolSettings(Section):
    """Raw data on disk as they come."""

    folder: Path | None = Field(None, description="folder of raw data as they come; none: no spool")
    limit_gb: float = Field(
        100.0, gt=0, le=1e6, description="most disk; the oldest is removed first"
    )
    keep: Literal["failed", "all"] = Field(
        "failed", description="raw data that stay: of scans that failed, or of all"
    )

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        """Make it one that a command to replay can name, wherever that is run."""
        return folder and folder.expanduser().absolute()


class HealthSettings(Section):
    """What watches the process."""

    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Prometheus metrics on this port of loopback"
    )
    log_format: Literal["text", "json"] = Field("text", description="of a line of the log")
