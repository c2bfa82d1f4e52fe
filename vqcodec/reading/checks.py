"""What is checked before a .vqv file is decoded: the file, its model, the memory it would take."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ..codec.decoder_memory import decoder_memory
from ..container.reader import ContainerReader
from ..errors import LimitError, WeightsError, located
from ..options import DecodeOptions, Limits
from ..system.stdio import source_path


def check_model(reader: ContainerReader, model_id: bytes) -> None:
    """WeightsError unless the file was made with these weights."""
    if reader.header.model_id != model_id:
        raise WeightsError(
            f"file needs model {reader.header.model_id.hex()}, these weights are {model_id.hex()}",
            advice="name those that it was encoded with by `weights`",
        )


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
