"""Ctrl-C in two steps: the first asks the work to end early and keep what it has, the second stops
it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Interrupt:
    """A context that takes SIGINT over in the main thread.

    ``worth``: set by the work as soon as ending early leaves something worth having; before that
    ctrl-C stops at once. ``requested``: the work is to end; ``say`` was called when it became true.
    """

    def __init__(self, say: Callable[[], object] | None = None) -> None:
        self.worth = self.requested = False
        self._say = say
        self._old: Any = None

    def _handle(self, signum: int, frame: object) -> None:
        if not self.worth or self.requested:
            raise KeyboardInterrupt
        self.requested = True
        if self._say is not None:
            self._say()

    def __enter__(self) -> Interrupt:
        # a program that was started to ignore ctrl-C goes on ignoring it
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            with suppress(ValueError):  # not in the main thread
                self._old = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
