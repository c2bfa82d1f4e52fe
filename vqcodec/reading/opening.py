"""A .vqv file opened: its model checked, the memory of a decoder estimated."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path

from ..codec.gop_structure import AHEAD_BYTES, MAX_BATCH, MINI_GOP, automatic_batch
from ..container.reader import ContainerReader
from ..errors import LimitError, WeightsError, located
from ..options import DecodeOptions, Limits
from ..picture import padded_size
from ..system.stdio import source_path
from ..system.threads import thread_count


def check_model(reader: ContainerReader, model_id: bytes) -> None:
    """WeightsError unless the file was made with these weights."""
    if reader.header.model_id != model_id:
        raise WeightsError(
            f"file needs model {reader.header.model_id.hex()}, these weights are {model_id.hex()}",
            advice="name those that it was encoded with by `weights`",
        )


def decoder_memory(width: int, height: int, batch: int = 0, threads: int = 0) -> int:
    """Bytes that a process takes at most to decode pictures of this size on the CPU, as measured
    (test_memory.py); an output's encoder comes on top. ``threads``: 0 for the automatic number.
    """
    padded = math.prod(padded_size(width, height))
    threads = threads or thread_count()
    at_once = max(threads, min(batch or automatic_batch(width, height), MAX_BATCH))
    ahead = 3 * MINI_GOP * padded
    if threads == 1 or ahead > AHEAD_BYTES:
        ahead = 0
    return (220 << 20) + padded * (22 + 3 * MINI_GOP + 15 * at_once) + ahead


def check_memory(reader: ContainerReader, options: DecodeOptions, tracks: int = 0) -> None:
    """LimitError where decoding would take more memory than the limit allows, with ``tracks`` bytes
    of descriptions and attachments, which an output holds once more.
    """
    width, height = reader.header.width, reader.header.height
    need = decoder_memory(width, height, options.batch, options.threads) + 2 * tracks
    if reader.gops and need > options.limits.memory:
        raise LimitError(
            f"decoding {width}x{height} needs about {need >> 20} MiB, over the limit of "
            f"{options.limits.memory >> 20} MiB",
            option="memory",
            advice="`memory` raises it, a smaller `batch` needs less",
        )


def open_reader(stack: ExitStack, src: str, limits: Limits | None = None) -> ContainerReader:
    """Open a .vqv file for as long as ``stack`` lives; errors name the file."""
    path = Path(source_path(stack, src))
    with located(file=src):
        return ContainerReader.open(stack.enter_context(path.open("rb")), limits)
