"""Errors, and how their sentences are put together.

The tree, with the exit code that the command line gives for each::

    VqvError             1  base of all errors raised on purpose
    ├── UsageError       2  an option, an argument or a combination of them that makes no sense
    │   ├── KindError    2  an argument of a type that makes no sense (a TypeError too)
    │   └── RangeError   2  a frame or a time that a video doesn't have (an IndexError too)
    ├── InputError       3  input missing, unreadable or of an unsupported kind
    ├── DamageError      4  input of the right kind whose bytes are damaged or cut
    ├── OutputError      5  output exists, cannot be written, or the disk is full
    │   └── RefusedError 5  FFmpeg's encoder or muxer refuses what it was given
    ├── LimitError       6  something is larger than a limit allows
    ├── WeightsError     7  weights missing, damaged, or of another model
    ├── TargetError      8  the work is done, but a size or a quality asked for was not met
    └── ClusterError     9  machines that are to do the work cannot be reached, or are lost

An error knows where the fault lies (``place``), the ``option`` that it is about and what to do
(``advice``), each apart from the reason, and ``str`` joins them. Options have the names that the
library gives them. Within sentences they stand in backquotes, as `memory` or `vcodec=ffv1`, so that
the command line can put its own spelling there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

Spelling = Callable[[str, str | None], str]
_OPTION = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")


def respelled(text: str, spell: Spelling) -> str:
    """A text with ``spell(name, value)`` in the place of each option in backquotes."""
    return _OPTION.sub(lambda found: spell(found[1], found[2]), text)


def backquoted(name: str, value: str | None = None) -> str:
    """The spelling of an option that :func:`respelled` finds again."""
    return f"`{name}`" if value is None else f"`{name}={value}`"


@dataclass(frozen=True)
class Place:
    """Where a fault lies: in which file, in what part of it, at which byte, in which frames."""

    file: str | None = None
    part: str = ""
    byte: int | None = None
    frames: range | None = None

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self._inside())))

    def _inside(self) -> str:
        where = self.part
        if self.byte is not None:
            where = f"{where} at byte {self.byte}" if where else f"byte {self.byte}"
        if self.frames is None:
            return where
        frames = f"frames {self.frames.start} to {self.frames.stop - 1}"
        return f"{where} ({frames})" if where else frames

    def within(self, outer: Place) -> Place:
        """This place, with what it lacks of the one around it."""
        if not self._inside():
            return replace(outer, file=self.file or outer.file)
        return replace(self, file=self.file or outer.file, frames=self.frames or outer.frames)


class VqvError(Exception):
    """Base of all errors raised on purpose; ``str`` is one sentence.

    Args:
        reason: What is wrong; options in it stand in backquotes.
        file, part, byte, frames: The ``place``, as far as it is known.
        option: The option, argument or limit that this is about, by its name in the library.
        advice: What to do; options in it stand in backquotes too.
    """

    exit_code = 1

    def __init__(
        self,
        reason: object = "",
        *,
        file: object = None,
        part: str = "",
        byte: int | None = None,
        frames: range | None = None,
        option: str | None = None,
        advice: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = str(reason)
        self.place = Place(None if file is None else str(file), part, byte, frames)
        self.option = option
        self.advice = advice

    def told(self, spell: Spelling | None = None) -> str:
        """The sentence; ``spell(name, value)`` writes the options in it (the library's way)."""
        option, reason, advice = self._subject(), self.reason, self._advice()
        if spell is not None:
            option = option and spell(option, None)
            reason, advice = respelled(reason, spell), respelled(advice, spell)
        sentence = ": ".join(filter(None, (str(self.place), option, reason)))
        return f"{sentence}; {advice}" if advice else sentence

    def _subject(self) -> str | None:
        return self.option

    def _advice(self) -> str:
        return self.advice

    def __str__(self) -> str:
        return self.told()


class UsageError(VqvError):
    """An option or a combination of options that makes no sense."""

    exit_code = 2


class KindError(UsageError, TypeError):
    """An argument of a type that makes no sense."""


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
    """FFmpeg's encoder or muxer refuses what it was given; the disk is in order."""


class LimitError(VqvError):
    """Something is larger than a limit allows; ``option`` is the one that raises the limit."""

    exit_code = 6

    def _subject(self) -> str | None:
        return None

    def _advice(self) -> str:
        return self.advice or (f"`{self.option}` raises it" if self.option else "")


class WeightsError(VqvError):
    """Weights missing, damaged, or of another model than the file needs."""

    exit_code = 7


class TargetError(VqvError):
    """The work was finished, but a target of size or quality was not met."""

    exit_code = 8


class ClusterError(VqvError):
    """The machines that are to do the work cannot be reached, or are lost."""

    exit_code = 9


@contextmanager
def located(
    *,
    file: object = None,
    part: str = "",
    byte: int | None = None,
    frames: range | None = None,
) -> Iterator[None]:
    """Errors of ours from within say at least this much of where the fault lies."""
    try:
        yield
    except VqvError as exc:
        outer = Place(None if file is None else str(file), part, byte, frames)
        exc.place = exc.place.within(outer)
        raise


class DamageLog(list[str]):
    """Sentences about damage.

    Only the first are kept, so that a file made of damage alone doesn't fill the memory.
    """

    KEPT = 1000

    def note(self, text: object) -> None:
        """Put down a sentence or an error, or, once, that there are more."""
        if len(self) < self.KEPT:
            self.append(str(text))
        elif len(self) == self.KEPT:
            self.append("and more of it")
