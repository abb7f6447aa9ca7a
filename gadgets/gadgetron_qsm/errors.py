"""The exceptions that people read."""

LONGEST_LINE = 500  # characters: what a log, a console and a mail still show


class QsmError(Exception):
    """Input or a peer that cannot be used: one line that says what is wrong and what to do."""

    def __str__(self) -> str:
        """Return one line, whatever a peer had us quote."""
        line = " ".join(super().__str__().split())
        return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..."


class UsageError(QsmError):
    """A setting or configuration that there is not: the same, but whoever called is wrong."""
