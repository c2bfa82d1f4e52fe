"""Is a file whole: every checksum, and every decoded pixel against the encoder's."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TypedDict

from .. import values
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError
from ..options import DecodeOptions
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.surroundings import undisturbed
from .decode_report import DecodeReport
from .opening import check_memory, check_model, open_reader
from .sequence import GopDecoder


class VerifyReport(TypedDict):
    """What a check found, ready for JSON. ``damage`` holds a sentence for each thing found
    wrong.
    """

    file: str
    complete: bool
    ok: bool
    pixels_checked: bool
    frames: int
    gops: int
    bytes: int
    damaged_gops: int
    damage: list[str]


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
    """Check a file: all checksums of the container, and unless ``fast`` every decoded pixel against
    the encoder's.

    Damage is reported, not raised. Of ``options`` threads, batch, device and limits matter. Raises
    InputError, LimitError, WeightsError.
    """
    path = os.fspath(path)
    report = DecodeReport()
    options = options or DecodeOptions()
    progress = as_meter(progress)
    with ExitStack() as stack:
        reader = open_reader(stack, path, options.limits)
        report.complete = reader.complete
        report.damage.extend(reader.damaged)
        stored = StoredTracks(reader)
        for _ in stored.packets():
            pass
        report.damage.extend(stored.damage)
        if fast:
            after: int | None = None
            for i in range(len(reader.gops)):
                try:
                    after = reader.read_gop(i, after).pts[-1]
                except DamageError as exc:
                    report.damaged_gops += 1
                    report.damage.note(exc)
        else:
            from ..codec.weights import load_codec, read_model_id

            check_memory(reader, options, stored.size)
            check_model(reader, read_model_id(weights))
            decoder = GopDecoder(
                reader, load_codec(weights, options.device, options.threads), options, report
            )
            if progress is not None:
                progress.total = reader.frames
            for i in range(len(reader.gops)):
                for _ in decoder.pictures(i):
                    report.frames += 1
                    if progress is not None:
                        progress.update(report.frames)
        return {
            "file": path,
            "complete": report.complete,
            "ok": report.ok,
            "pixels_checked": not fast,
            "frames": reader.frames,
            "gops": len(reader.gops),
            "bytes": reader.size,
            "damaged_gops": report.damaged_gops,
            "damage": report.damage,
        }
