"""The one exception that people read."""


class QsmError(Exception):
    """Input or a peer that cannot be used: one line that says what is wrong and what to do."""
