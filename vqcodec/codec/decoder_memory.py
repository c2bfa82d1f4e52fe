"""How many frames a decoder holds at once, and the memory that this takes.

It holds the frames of the mini-GOP that it decodes and the two key frames before it
(gop_decoder.py). Several threads also begin the next mini-GOP while one is shown, where the frames
are small enough. Readers keep more in a cache of their own (``reading/gop_cache.py``).
"""

from __future__ import annotations

import math

from ..picture_size import padded_size
from ..system.threads import thread_count
from .gop_structure import MINI_GOP

MAX_AHEAD = 96 << 20  # bytes of frames of the next mini-GOP
MAX_BATCH = 8  # frames that go through the nets at once


def automatic_batch(width: int, height: int) -> int:
    """Pictures of this size that a decoder's nets take at once unless told otherwise."""
    return max(1, min(MAX_BATCH, 500_000 // max(1, width * height)))


def bytes_ahead(samples: int) -> int:
    """Bytes of the next mini-GOP, which several threads decode while one is shown; 0 where they
    would be too many, and then they do not. samples: of the padded luma of a frame.
    """
    ahead = 3 * MINI_GOP * samples
    return ahead if ahead <= MAX_AHEAD else 0


def decoder_memory(width: int, height: int, batch: int = 0, threads: int = 0) -> int:
    """Bytes that a process takes at most to decode pictures of this size on the CPU, as measured
    (test_memory.py); an output's encoder comes on top.

    batch: frames through the nets at once, 0 for the automatic number; threads: likewise.
    """
    padded = math.prod(padded_size(width, height))
    threads = threads or thread_count()
    at_once = max(threads, min(batch or automatic_batch(width, height), MAX_BATCH))
    ahead = bytes_ahead(padded) if threads > 1 else 0
    return (220 << 20) + padded * (22 + 3 * MINI_GOP + 15 * at_once) + ahead
