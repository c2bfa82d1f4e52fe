"""The exception tree. Every error a user can meet is a :class:`VqvError` and carries the exit code of the command line."""

from __future__ import annotations


class DamageLog(list[str]):
    """Sentences about damage. Only the first are kept, so that a file made of damage alone doesn't fill the memory."""

    KEPT = 1000

    def note(self, text: str) -> None:
        """Put down a sentence, or, once, that there are more."""
        if len(self) < self.KEPT:
            self.append(text)
        elif len(self) == self.KEPT:
            self.append("and more of it")


class VqvError(Exception):
    """Base of all errors raised on purpose; one sentence saying what is wrong, and where."""

    exit_code = 1


class UsageError(VqvError):
    """An option or a combination of options that makes no sense."""

    exit_code = 2


class RangeError(UsageError, IndexError):
    """A frame or a time that a video doesn't have."""


class InputError(VqvError):
    """Input missing, unreadable or of an unsupported kind."""

    exit_code = 3


class DamageError(VqvError):
    """Input of the right kind whose bytes are damaged or cut."""

    exit_code = 4


class OutputError(VqvError):
    """Output exists, cannot be written, or the disk is full."""

    exit_code = 5


class RefusedError(OutputError):
    """FFmpeg's encoder or muxer refuses what it was given; the disk is sound."""


class LimitError(VqvError):
    """Something is larger than a limit allows."""

    exit_code = 6


class WeightsError(VqvError):
    """Weights missing, damaged, or of another model than the file needs."""

    exit_code = 7


class TargetError(VqvError):
    """The work was finished, but a target of size or quality was not met."""

    exit_code = 8


class ClusterError(VqvError):
    """The machines that are to do the work cannot be reached, or are lost."""

    exit_code = 9
