"""Is a file whole: every checksum, and every decoded pixel against the encoder's."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from .. import values
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError
from ..options import DecodeOptions
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.surroundings import undisturbed
from .checks import check_memory, check_model, open_reader
from .decode_report import DecodeReport


@dataclass(frozen=True)
class VerifyReport:
    """What a check found."""

    file: str
    """Its path."""
    complete: bool
    """Whether the file ends as it should."""
    ok: bool
    """Whether nothing is wrong."""
    pixels_checked: bool
    """Whether frames were decoded, or checksums of packets looked at alone."""
    frames: int
    """Of the file."""
    gops: int
    """Of the file."""
    bytes: int
    """Of the file."""
    damaged_gops: int
    """GOPs that are not as the encoder wrote them."""
    damage: list[str]
    """A sentence for each thing found wrong."""

    def to_json(self) -> dict[str, Any]:
        """The fields, as ``vqcodec verify --json`` prints them."""
        return dict(vars(self))


@values.taking(
    path=values.path,
    fast=values.flag,
    weights=values.path,
    options=values.instance(DecodeOptions),
    progress=values.progress,
)
@undisturbed()
def verify(
    path: str | os.PathLike[str],
    fast: bool = False,
    *,
    weights: str | os.PathLike[str] | None = None,
    options: DecodeOptions | None = None,
    progress: ProgressCallback | Meter | None = None,
) -> VerifyReport:
    """Check a file: its checksums, and every decoded pixel against the encoder's.

    Args:
        path: Of the file.
        fast: Look at the checksums of the packets alone, without decoding.
        weights: A file, if not the weights that come with the program.
        options: Threads, batch, device and limits matter.
        progress: Is called with a ProgressEvent now and then.

    Returns:
        What was found; damage is reported, not raised.

    Raises:
        UsageError: An argument makes no sense.
        InputError: No .vqv file, or it cannot be read.
        DamageError: The header is lost.
        LimitError: Something is larger than the limits of ``options`` allow.
        WeightsError: The weights are missing, damaged, or of another model.
    """
    path = os.fspath(path)
    report = DecodeReport()
    options = options or DecodeOptions()
    meter = as_meter(progress)
    with ExitStack() as stack:
        reader = open_reader(stack, path, options.limits)
        report.complete = reader.complete
        report.damage.extend(reader.damaged)
        stored = StoredTracks(reader)
        for _ in stored.packets():
            pass
        report.damage.extend(stored.damage)
        if fast:
            _check_packets(reader, report)
        else:
            check_memory(reader, options, stored.size)
            _check_pixels(reader, weights, options, report, meter)
        return VerifyReport(
            file=path,
            complete=report.complete,
            ok=report.ok,
            pixels_checked=not fast,
            frames=reader.frames,
            gops=len(reader.gops),
            bytes=reader.size,
            damaged_gops=report.damaged_gops,
            damage=report.damage,
        )


def _check_packets(reader: ContainerReader, report: DecodeReport) -> None:
    after: int | None = None
    for i in range(len(reader.gops)):
        try:
            after = reader.read_gop(i, after).pts[-1]
        except DamageError as exc:
            report.damaged_gops += 1
            report.damage.note(exc)


def _check_pixels(
    reader: ContainerReader,
    weights: str | os.PathLike[str] | None,
    options: DecodeOptions,
    report: DecodeReport,
    meter: Meter | None,
) -> None:
    from ..codec.weights import load_codec, read_model_id
    from .sequence import ConcealingDecoder

    check_model(reader, read_model_id(weights))
    codec = load_codec(weights, options.device, options.threads)
    decoder = ConcealingDecoder(reader, codec, options, report)
    if meter is not None:
        meter.total = reader.frames
    for i in range(len(reader.gops)):
        for _ in decoder.pictures(i):
            report.frames += 1
            if meter is not None:
                meter.update(report.frames)
