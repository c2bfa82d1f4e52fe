"""How many processes code GOPs side by side, and with how many threads, where nobody says."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..codec.nets.device_choice import chosen_device
from ..encoding.nets.arithmetic import FLOATS
from ..options import MAX_JOBS, EncodeOptions
from ..picture_size import padded_size
from ..system.free_memory import free_memory
from ..system.processors import usable
from ..system.threads import default_threads

_LOG = logging.getLogger("vqcodec.nets")

LEAST_PROCESSORS = 4  # with fewer, one process with as many threads is nearly as fast
CLEARLY = 0.8  # of the time that fewer processes have to take: threads share work less well
SHARE = 0.75  # of the free memory that is taken at most
_ANY_LENGTH = 2  # threads of a process where it is not known whether there is a second GOP


def job_memory(width: int, height: int, gop: int, ten_bit: bool = False) -> int:
    """Bytes that one more process is reckoned with: what one has taken at most (docs/benchmarks.md,
    ``medium`` with two threads), and the pictures of a GOP of at most ``gop`` frames, which the
    first process keeps as they were read: samples of 10 bits take two bytes."""
    across, down = padded_size(width, height)
    return (330 << 20) + across * down * (640 + 3 * gop * (1 + ten_bit) // 2)


def chosen(
    options: EncodeOptions,
    size: tuple[int, int],
    frames: int | None,
    gop: int,
    ten_bit: bool = False,
) -> EncodeOptions:
    """The options with as many jobs as processors and memory allow, and threads for the rest.

    Args:
        options: As they were given, without jobs and threads.
        size: Width and height of the pictures.
        frames: Of the source; None where that is not known.
        gop: Most frames of a GOP.
        ten_bit: Whether pictures are read with 10 bits.
    """
    # OMP_NUM_THREADS may say more than there are, for a larger machine: more threads are only slow,
    # processes take memory
    processors, free = min(default_threads(), usable()), free_memory()
    # only integers on the CPU are the same for any number of threads, or share no device
    alike = chosen_device(options.device) == "cpu" and options.arithmetic not in FLOATS
    if processors < LEAST_PROCESSORS or not alike or free is None:
        return options
    most = processors // _ANY_LENGTH if frames is None else -(-frames // gop)
    fitting = int(SHARE * free) // job_memory(*size, gop, ten_bit)
    jobs = max(1, min(processors, MAX_JOBS, most, fitting))
    rest = (frames or 0) % gop
    if jobs == most > 1 and rest:
        # one process may code a short last GOP behind its own, if all then have more threads
        alone, after = gop / (processors // jobs), (gop + rest) / (processors // (jobs - 1))
        jobs -= after < CLEARLY * alone
    _LOG.info("%d processes code GOPs side by side", jobs)
    return options if jobs == 1 else replace(options, jobs=jobs, threads=processors // jobs)
