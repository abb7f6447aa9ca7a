"""Configurations of Gadgetron, version 2, as text."""

from __future__ import annotations

EXECUTE = '<execute name="gadgetron_qsm.gadgets" target="{}" type="python"/>'
CONNECT = '<connect address="recon" port="18000"/>'


def reader(classname: str, kind: str = "reader") -> str:
    """Return a reader or writer of that class."""
    return f"<{kind}><dll>any</dll><classname>{classname}</classname></{kind}>"


READERS = f"<readers>{reader('AcquisitionReader')}{reader('WaveformReader')}</readers>"
WRITERS = f"<writers>{reader('ImageWriter', 'writer')}</writers>"


def whole(
    *nodes: str,
    version: str = "<version>2</version>",
    readers: str = READERS,
    writers: str = WRITERS,
) -> str:
    """Return a configuration whose nodes begin in line 5."""
    parts = [f"<configuration>{version}", readers, writers, "<stream>", "".join(nodes)]
    return "\n".join([*parts, "</stream>", "</configuration>"])


def external(start: str, *properties: str, after: str = "") -> str:
    """Return an external node with its settings."""
    return (
        f"<external>{start}<configuration>{''.join(properties)}</configuration>{after}</external>"
    )


def gadget(classname: str, *properties: str, tag: str = "gadget") -> str:
    """Return a node of the server's own."""
    inner = f"<dll>any</dll><classname>{classname}</classname>{''.join(properties)}"
    return f"<{tag}>{inner}</{tag}>"


def prop(name: str, value: str) -> str:
    """Return a property."""
    return f'<property name="{name}" value="{value}"/>'
