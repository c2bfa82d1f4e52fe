"""What an encode will give, from stretches spread over the source that are encoded to be thrown away."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..container.tracks import PACKETS
from ..encoding.scene_cuts import MINI_GOP
from ..errors import UsageError
from ..metrics import psnr_yuv
from ..options import EncodeOptions, Time, changed
from ..reading.opening import open_reader
from ..system.processors import usable
from ..system.progress import Meter, ProgressCallback, as_meter
from ..system.stdio import check_source, is_stream
from .encode import encode

STRETCHES = 8
LENGTH = 1 + 2 * MINI_GOP  # frames of a stretch: an I frame, and two whole mini-GOPs


@dataclass(frozen=True)
class Estimate:
    """What an encode will give, about. ``psnr`` is (6 Y + U + V) / 8 in dB of the mean error, the next two
    that of the worst and the best stretch; ``seconds`` are those of the whole encode on this machine."""

    frames: int
    bytes: int
    picture_bytes: int
    psnr: float
    psnr_worst: float
    psnr_best: float
    seconds: float
    sampled_frames: int
    stretches: int
    source_bytes: int | None = None

    @property
    def share(self) -> float | None:
        """Of the source's bytes, as a fraction; None where a stretch of it is meant."""
        return self.bytes / self.source_bytes if self.source_bytes else None


@dataclass
class _Sums:
    """Of the stretches that were encoded."""

    frames: int = 0
    gops: int = 0
    cuts: int = 0  # GOPs that ended before they had to
    first_bytes: int = 0  # of the GOPs' packets but for what follows
    later_bytes: int = 0  # of the frames behind I frames
    track_bytes: int = 0
    seconds_video: float = 0.0
    fixed_bytes: int = 0  # header, tags, attachments, parameters of tracks


def _look(path: str, longest: int, picture_bytes: int, sums: _Sums, fixed: bool) -> None:
    """Add up where the bytes of a stretch went, of which those of its GOPs are known."""
    from ..codec.gop_body import parse_body

    with ExitStack() as stack:
        reader = open_reader(stack, path)
        gops = {entry.offset: i for i, entry in enumerate(reader.gops)}
        kinds = {extra.offset: extra.type for extra in reader.extras}
        offsets = sorted([*gops, *kinds, reader.size])
        if fixed:
            sums.fixed_bytes = offsets[0]
        for offset, end in zip(offsets, offsets[1:], strict=False):
            size = end - offset
            if offset not in gops:
                if kinds[offset] == PACKETS:
                    sums.track_bytes += size
                elif fixed:
                    sums.fixed_bytes += size
                continue
            i = gops[offset]
            count = reader.gops[i].count
            later = sum(map(len, parse_body(reader.read_gop(i).body, count)[1][1:]))
            sums.gops += 1
            sums.first_bytes += size - later
            sums.later_bytes += later
            sums.cuts += i + 1 < len(reader.gops) and count < longest
            picture_bytes -= size
        # behind the last packet lie index and trailer
        sums.first_bytes += picture_bytes
        sums.fixed_bytes -= picture_bytes if fixed else 0


def _gop_length(cut_rate: float, longest: int) -> float:
    """Mean frames of a GOP where a scene is cut before a frame with this probability."""
    if cut_rate <= 0:
        return longest
    return float((1 - (1 - cut_rate) ** longest) / cut_rate)


def estimate(
    src_path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | Meter | None = None,
    **changes: Any,
) -> Estimate:
    """Encode a few stretches spread over a video, and tell size, PSNR and time of an encode of the whole.

    A short video is encoded whole. Raises what :func:`encode` does, and UsageError for pipes, for a
    target in the place of a crf, and where the length of the source is not known.
    """
    src = os.fspath(src_path)
    options = changed(options or EncodeOptions(), changes)
    meter = as_meter(progress)
    check_source(src)
    if is_stream(src):
        raise UsageError("an estimate needs a file: a pipe can be read once only", file=src)
    if options.target:
        raise UsageError(
            "an estimate is of a crf: a target of bitrate, PSNR or size is met by itself"
        )
    from ..media.source import VideoSource

    with VideoSource(
        src, options.start, options.duration, rate=options.rate, playlists=options.playlists
    ) as source:
        total, rate = source.total, source.rate or Fraction(25)
    if total is None:
        raise UsageError("its length is not known, so there is nothing to reckon with", file=src)
    whole = total <= STRETCHES * LENGTH * 3 // 2
    count, length = (1, total) if whole else (STRETCHES, LENGTH)
    begin = options.start or Time(seconds=Fraction(0))
    first = begin.seconds if begin.seconds is not None else (begin.frames or 0) / rate
    longest = options.gop_frames(rate)
    sums, sse, quality = _Sums(), [0.0, 0.0, 0.0], []
    coding: list[tuple[float, int]] = []  # seconds and frames of each stretch
    start_up = 0.0
    if meter is not None:
        meter.total = count * length
    with tempfile.TemporaryDirectory(prefix="vqcodec-") as folder:
        for k in range(count):
            tracks = options.tracks
            if k:  # attachments are in every stretch, and count once
                tracks = replace(tracks, without=tracks.without | {"attachment"})
            at = first + Fraction((total - length) * (2 * k + 1), 2 * count) / rate
            part = replace(options, jobs=1, resume=False, stats=None, strict=False, tracks=tracks)
            if not whole:
                part = replace(part, start=Time(seconds=at), duration=Time(frames=length))
            path = os.path.join(folder, f"{k}.vqv")
            report = encode(src, path, part, weights=weights)
            _look(path, longest, report.picture_bytes, sums, fixed=not k)
            os.unlink(path)
            sums.frames += report.frames
            sums.seconds_video += report.seconds_video
            sse = [a + b for a, b in zip(sse, report.sse, strict=True)]
            quality.append(report.psnr[0])
            coding.append((report.seconds - report.start_seconds, report.frames))
            start_up = report.start_seconds
            if meter is not None:
                meter.update(sums.frames)
    if len(coding) > 2:
        coding = coding[1:]  # the first one warms everything up
    frames = sums.frames if whole else total
    gops = sums.gops
    picture_bytes = sums.first_bytes + sums.later_bytes
    track_bytes = sums.track_bytes
    if not whole:
        expected = frames / _gop_length(sums.cuts / sums.frames, longest)
        later = sums.later_bytes / max(1, sums.frames - sums.gops)
        picture_bytes = round(
            expected * sums.first_bytes / sums.gops + max(0.0, frames - expected) * later
        )
        track_bytes = round(track_bytes * float(frames / rate) / max(1e-9, sums.seconds_video))
        gops = max(1, round(expected))
    per_frame = sum(s for s, _ in coding) / max(1, sum(n for _, n in coding))
    jobs = min(options.jobs or usable(), gops)
    everything = options.start is None and options.duration is None
    return Estimate(
        frames=frames,
        bytes=picture_bytes + track_bytes + sums.fixed_bytes,
        picture_bytes=picture_bytes,
        psnr=psnr_yuv(sse, report.width, report.height, sums.frames)[0],
        psnr_worst=min(quality),
        psnr_best=max(quality),
        seconds=start_up + per_frame * frames / jobs,
        sampled_frames=sums.frames,
        stretches=count,
        source_bytes=os.path.getsize(src) if everything else None,
    )
