"""What a processor is fast at, by timing small products once: floats of 16 or of 32 bits, and one exact product or another.

An instruction that is missing is emulated, 10 to 40 times slower than what is there, and libraries don't say so. The times decide, not a
list of processors. They decide nothing of decoded pixels. An encoder's nets round otherwise in bfloat16 than in float32, so an
encode keeps to what was chosen at its beginning, and ``EncodeOptions.arithmetic`` chooses beforehand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial

import torch

FLOATS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
_GAIN = 1.25  # processors have bfloat16 at twice the speed of float32 and more, or emulate it: noise of the clock is far from both
_SHAPE = (256, 128, 256)  # of the product that is timed
_ROUNDS, _LEAST = 8, 3
_HOPELESS = 4.0  # times slower than the best after the least of rounds: not timed again


def best_times(candidates: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Processor seconds of each on one thread, the least of some rounds in turn, so that what else the machine does changes no choice."""
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
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device != "cpu":
        return "bfloat16"
    m, k, n = _SHAPE
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        pairs = {
            name: (torch.ones(m, k, dtype=t), torch.ones(k, n, dtype=t))
            for name, t in FLOATS.items()
        }
        times = best_times({name: partial(torch.mm, x, w) for name, (x, w) in pairs.items()})
    return "bfloat16" if times["bfloat16"] * _GAIN < times["float32"] else "float32"


def float_choice(wanted: str = "auto", device: str | torch.device = "cpu") -> str:
    """``bfloat16`` or ``float32``, for nets of floats on a device: the one that is wanted, else the faster one."""
    return _fast_float(str(device)) if wanted == "auto" else wanted


@contextmanager
def floats(name: str, device: str | torch.device = "cpu") -> Iterator[None]:
    """A context in which nets of float32 weights multiply in these floats, whatever autocast the caller is in."""
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=name == "bfloat16"):
        yield


@contextmanager
def one_thread() -> Iterator[int]:
    """A context in which torch has one thread; gives how many it had. Libraries split sums of floats, which then round otherwise, by their threads."""
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield threads
    finally:
        if threads > 1:
            torch.set_num_threads(threads)
