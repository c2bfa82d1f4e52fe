"""What the program around us has set, or done, that the nets must not feel.

A default device of torch, a rounding mode of the processor, a fork: the pixels are the same, and
what was set is set again afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

_TO_NEAREST = 0  # FE_TONEAREST of x86 and ARM
_forked = False  # from a process that had torch, whose threads are not here


def _after_fork() -> None:
    global _forked
    _forked = _forked or "torch" in sys.modules


os.register_at_fork(after_in_child=_after_fork)


@cache
def _c_library() -> Any:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "fegetround") and hasattr(library, "fesetround") else None


@contextmanager
def _rounding_to_nearest() -> Iterator[None]:
    library = _c_library()
    mode = _TO_NEAREST if library is None else library.fegetround()
    if mode == _TO_NEAREST:
        yield
        return
    library.fesetround(_TO_NEAREST)
    try:
        yield
    finally:
        library.fesetround(mode)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run as if no program were around: in this thread, for as long as it is on."""
    with ExitStack() as stack:
        stack.enter_context(_rounding_to_nearest())
        torch = sys.modules.get("torch")
        if torch is not None:
            if _forked:
                torch.set_num_threads(1)  # it would wait for ever for threads of its parent
            if torch.empty(0).device.type != "cpu":
                stack.enter_context(torch.device("cpu"))
        yield


def forked_from_torch() -> bool:
    """Whether this process was forked from one with torch, whose threads it does not have."""
    return _forked
