"""The exceptions that people read."""


class QsmError(Exception):
    """Input or a peer that cannot be used: one line that says what is wrong and what to do."""


class UsageError(QsmError):
    """A setting or configuration that there is not: the same, but whoever called is wrong."""
