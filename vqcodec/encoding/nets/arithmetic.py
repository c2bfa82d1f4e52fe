"""What the encoder's own nets multiply in: exact integers on the CPU, on other devices floats.

In integers they give the same latents on every processor. Floats have 16 or 32 bits, whichever is
faster: small products are timed once. An instruction that is missing is emulated, 10 to 40 times
slower than what is there, and libraries don't say so. So the times decide, not a list of
processors. They decide nothing of decoded pixels.

An encode keeps to what was chosen at its beginning, and ``EncodeOptions.arithmetic`` chooses
beforehand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

INTEGERS = "integers"
FLOATS = ("bfloat16", "float32")  # of torch, by their names there
# Times that bfloat16 must be faster. Processors have it at twice the speed of float32 and more, or
# emulate it: noise of the clock is far from both.
_GAIN = 1.25
_SHAPE = (256, 128, 256)  # of the product that is timed
_ROUNDS, _LEAST = 8, 3
_HOPELESS = 4.0  # times slower than the best after the least of rounds: not timed again


def best_times(candidates: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Processor seconds of each on one thread, the least of some rounds.

    They run in turn, so that what else the machine does changes no choice.
    """
    best = dict.fromkeys(candidates, math.inf)
    with one_thread():
        for run in candidates.values():
            run()  # what libraries prepare when they are first called
        for i in range(_ROUNDS):
            for name, run in candidates.items():
                if i >= _LEAST and best[name] > _HOPELESS * min(best.values()):
                    continue
                begin = time.thread_time()
                run()
                best[name] = min(best[name], time.thread_time() - begin)
    return best


@cache
def _fast_float(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device != "cpu":
        return "bfloat16"
    rows, inner, columns = _SHAPE
    kinds = {name: getattr(torch, name) for name in FLOATS}
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        pairs = {
            name: (torch.ones(rows, inner, dtype=t), torch.ones(inner, columns, dtype=t))
            for name, t in kinds.items()
        }
        times = best_times({name: partial(torch.mm, x, w) for name, (x, w) in pairs.items()})
    return "bfloat16" if times["bfloat16"] * _GAIN < times["float32"] else "float32"


def float_choice(wanted: str = "auto", device: str | torch.device = "cpu") -> str:
    """``bfloat16`` or ``float32`` for nets of floats on a device.

    ``wanted``: one of them, or ``auto`` for the faster one.
    """
    return _fast_float(str(device)) if wanted == "auto" else wanted


def encoder_choice(wanted: str = "auto", device: str = "cpu") -> str:
    """What the nets of an encoder multiply in: on the CPU integers, if ``wanted`` is ``auto``."""
    if wanted == "auto" and device == "cpu":
        return INTEGERS
    return wanted if wanted == INTEGERS else float_choice(wanted, device)


@contextmanager
def floats(name: str, device: str | torch.device = "cpu") -> Iterator[None]:
    """A context in which nets of float32 weights multiply in these floats.

    An autocast that the caller is in does not matter.
    """
    import torch

    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=name == "bfloat16"):
        yield


@contextmanager
def one_thread() -> Iterator[int]:
    """A context in which torch has one thread; gives how many it had.

    Libraries split sums of floats by their threads, and then they round otherwise.
    """
    import torch

    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield threads
    finally:
        if threads > 1:
            torch.set_num_threads(threads)
