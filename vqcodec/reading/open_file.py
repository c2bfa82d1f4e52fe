"""A .vqv file opened for :class:`.video_reader.VideoReader`: looked at and checked, not decoded."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, name
from ..container.byte_source import Source, open_source
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError, DamageLog, located
from ..options import DecodeOptions
from ..system.surroundings import undisturbed
from .checks import check_model
from .frames import VideoMetadata
from .timeline import Timeline

if TYPE_CHECKING:
    from .outputs import Output

CONCEAL = "on_damage='conceal' fills in what is lost"


@dataclass(frozen=True)
class Manner:
    """How a file is read: into what tensors or arrays, and whether lost frames are concealed."""

    options: DecodeOptions
    output: Output
    conceal: bool
    cache_bytes: int
    weights: str | None


@dataclass(frozen=True)
class OpenFile:
    """A file that is open. ``source`` opens it again, also in another process."""

    source: Source
    path: str
    container: ContainerReader
    timeline: Timeline
    metadata: VideoMetadata
    damage: DamageLog


def open_file(stack: ExitStack, source: Source, manner: Manner) -> OpenFile:
    """Open a file for as long as ``stack`` lives; errors name it.

    Raises:
        InputError: No .vqv file, or it cannot be read.
        DamageError: It is not whole, and that is not to be concealed.
        LimitError: Something is larger than the limits of ``manner.options``.
        WeightsError: The weights are missing, damaged, or of another model.
    """
    path, file, close = open_source(source)
    stack.callback(close)
    with located(file=path):
        reader = ContainerReader.open(file, manner.options.limits)
        damage = DamageLog(reader.damaged)
        if not manner.conceal and (damage or not reader.complete):
            raise DamageError(damage[0] if damage else "the file is not complete", advice=CONCEAL)
        _check_surroundings(reader, manner)
        stored = StoredTracks(reader)
        damage += stored.damage
        timeline = Timeline(reader, damage if manner.conceal else None)
        metadata = _metadata(reader, timeline, stored.description.tags)
    again = bytes(source) if isinstance(source, memoryview) else source
    return OpenFile(again, path, reader, timeline, metadata, damage)


def _check_surroundings(reader: ContainerReader, manner: Manner) -> None:
    """Tell now of weights of another model, and of a device that isn't there."""
    from ..codec.weights import read_model_id

    with undisturbed():
        check_model(reader, read_model_id(manner.weights))
        if manner.options.device not in ("auto", "cpu"):
            from ..codec.nets.backend_choice import choose_backend

            choose_backend(manner.options.device)


def _metadata(reader: ContainerReader, timeline: Timeline, tags: dict[str, str]) -> VideoMetadata:
    header, frames = reader.header, reader.frames
    begin, end = (float(ticks * header.time_base) for ticks in (timeline.begin, timeline.end))
    return VideoMetadata(
        num_frames=frames,
        width=header.width,
        height=header.height,
        begin_stream_seconds=begin,
        end_stream_seconds=end,
        average_fps=frames / (end - begin) if end > begin else None,
        time_base=header.time_base,
        pixel_aspect_ratio=header.sar,
        rotation=header.rotation,
        bit_depth=header.bit_depth,
        color_primaries=name(PRIMARIES, header.primaries),
        color_transfer=name(TRANSFERS, header.transfer),
        color_matrix=name(MATRICES, header.matrix),
        color_range=name(RANGES, header.range),
        chroma_location=name(LOCATIONS, header.chroma_location),
        crf=header.crf,
        model_id=header.model_id.hex(),
        bytes=reader.size,
        tags=dict(tags),
    )
