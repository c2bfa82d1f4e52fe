"""What an encode will give, from stretches spread over the source that are encoded and then
thrown away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Unpack

from .. import values
from ..codec.gop_structure import MINI_GOP
from ..container.tracks import PACKETS
from ..errors import UsageError
from ..options import EncodeOptions, Time, changed
from ..psnr import psnr_yuv
from ..reading.checks import open_reader
from ..system.endpoints import Source
from ..system.processors import usable
from ..system.progress import Meter, ProgressCallback, as_meter
from ..values import EncodeChanges
from . import job_count
from .encode import encode
from .output import EncodeReport

STRETCHES = 5
LENGTH = 1 + 2 * MINI_GOP  # frames of a stretch: an I frame, and all that it is looked ahead for


@dataclass(frozen=True)
class Estimate:
    """What an encode will give, about.

    ``psnr`` is (6 Y + U + V) / 8 in dB of the mean error, the next two that of the worst and the
    best stretch; ``seconds`` are those of the whole encode on this machine."""

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
        """Share of the source's bytes; None where a stretch of it is meant."""
        return self.bytes / self.source_bytes if self.source_bytes else None


@dataclass(frozen=True)
class _Samples:
    """Which stretches are encoded: ``count`` of ``length`` frames, spread over ``total``."""

    src: str
    options: EncodeOptions
    total: int
    rate: Fraction
    count: int
    length: int

    @classmethod
    def of(cls, src: str, options: EncodeOptions, spread: bool) -> _Samples:
        """Raises UsageError where the length of the source is not known."""
        from ..media.source import VideoSource
        from ..media.source_choice import SourceChoice

        with VideoSource(src, SourceChoice.of(options)) as source:
            total, rate = source.total, source.rate or Fraction(25)
            size, ten_bit = (source.width, source.height), source.ten_bit
        if total is None:
            raise UsageError(
                "its length is not known, so there is nothing to reckon with", file=src
            )
        if spread:
            longest = options.gop_frames(rate)
            options = job_count.chosen(options, size, total, longest, ten_bit)
        whole = total <= STRETCHES * LENGTH * 3 // 2
        count, length = (1, total) if whole else (STRETCHES, LENGTH)
        return cls(src, options, total, rate, count, length)

    @property
    def whole(self) -> bool:
        """Whether all of the source is encoded."""
        return self.length == self.total

    def __iter__(self) -> Iterator[EncodeOptions]:
        """How each stretch is encoded."""
        options = replace(self.options, jobs=1, resume=False, stats=None, strict=False)
        begin = options.start or Time(seconds=Fraction(0))
        first = begin.seconds if begin.seconds is not None else (begin.frames or 0) / self.rate
        for number in range(self.count):
            if number == 1:  # attachments are in every stretch, and count once
                without = options.tracks.without | {"attachment"}
                options = replace(options, tracks=replace(options.tracks, without=without))
            left = Fraction((self.total - self.length) * (2 * number + 1), 2 * self.count)
            if self.whole:
                yield options
            else:
                at = Time(seconds=first + left / self.rate)
                yield replace(options, start=at, duration=Time(frames=self.length))


@dataclass
class _Sums:
    """What the stretches came to that were encoded."""

    longest: int  # most frames of a GOP
    frames: int = 0
    gops: int = 0
    cuts: int = 0  # GOPs that ended before they had to
    first_bytes: int = 0  # of the GOPs' packets but for what follows
    later_bytes: int = 0  # of the frames behind I frames
    track_bytes: int = 0
    fixed_bytes: int = 0  # header, tags, attachments, parameters of tracks
    seconds_video: float = 0.0
    start_up: float = 0.0  # seconds before the first frame was coded
    sse: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    psnr: list[float] = field(default_factory=list)  # of each stretch
    coding: list[tuple[float, int]] = field(default_factory=list)  # seconds and frames of each

    def add(self, report: EncodeReport, path: Path) -> None:
        """Count a stretch that was encoded to this file."""
        self._look(path, report.picture_bytes)
        self.frames += report.frames
        self.seconds_video += report.seconds_video
        self.sse = [a + b for a, b in zip(self.sse, report.sse, strict=True)]
        self.psnr.append(report.psnr.yuv)
        self.coding.append((report.seconds - report.start_seconds, report.frames))
        self.start_up = report.start_seconds

    def _look(self, path: Path, picture_bytes: int) -> None:
        """Add up where the bytes of a stretch went, of which those of its GOPs are known."""
        from ..codec.gop_body import parse_body

        fixed = not self.psnr  # the first one
        with ExitStack() as stack:
            reader = open_reader(stack, str(path))
            gops = {entry.offset: i for i, entry in enumerate(reader.gops)}
            kinds = {extra.offset: extra.type for extra in reader.extras}
            offsets = sorted([*gops, *kinds, reader.size])
            if fixed:
                self.fixed_bytes = offsets[0]
            for offset, end in pairwise(offsets):
                size = end - offset
                if offset not in gops:
                    if kinds[offset] == PACKETS:
                        self.track_bytes += size
                    elif fixed:
                        self.fixed_bytes += size
                    continue
                number = gops[offset]
                count = reader.gops[number].count
                later = sum(map(len, parse_body(reader.read_gop(number).body, count)[1][1:]))
                self.gops += 1
                self.first_bytes += size - later
                self.later_bytes += later
                self.cuts += number + 1 < len(reader.gops) and count < self.longest
                picture_bytes -= size
        # behind the last packet lie index and trailer
        self.first_bytes += picture_bytes
        self.fixed_bytes -= picture_bytes if fixed else 0

    @property
    def seconds_per_frame(self) -> float:
        """Of coding, without what comes before it."""
        # the first stretch warms everything up
        coding = self.coding[1:] if len(self.coding) > 2 else self.coding
        return sum(s for s, _ in coding) / max(1, sum(n for _, n in coding))

    def bytes_of(self, samples: _Samples) -> tuple[int, int, int]:
        """Bytes of pictures and of tracks, and the GOPs, of the whole source."""
        if samples.whole:
            return self.first_bytes + self.later_bytes, self.track_bytes, self.gops
        gops = samples.total / _gop_length(self.cuts / self.frames, self.longest)
        later = self.later_bytes / max(1, self.frames - self.gops)
        pictures = gops * self.first_bytes / self.gops + max(0.0, samples.total - gops) * later
        seconds = float(samples.total / samples.rate)
        tracks = self.track_bytes * seconds / max(1e-9, self.seconds_video)
        return round(pictures), round(tracks), max(1, round(gops))


def _gop_length(cut_rate: float, longest: int) -> float:
    """Mean frames of a GOP where a scene is cut before a frame with this probability."""
    if cut_rate <= 0:
        return longest
    return float((1 - (1 - cut_rate) ** longest) / cut_rate)


def _check(source: Source, options: EncodeOptions) -> None:
    if source.once:
        raise UsageError("an estimate needs a file: a pipe can be read once only", file=source.name)
    if options.target:
        raise UsageError(
            "an estimate is of a crf: a target of bitrate, PSNR or size is met by itself"
        )


@values.taking(
    src_path=values.path,
    options=values.instance(EncodeOptions),
    weights=values.path,
    progress=values.progress,
)
def estimate(
    src_path: str | os.PathLike[str],
    options: EncodeOptions | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | Meter | None = None,
    **changes: Unpack[EncodeChanges],
) -> Estimate:
    """Encode a few stretches spread over a video, and tell size, PSNR and time of an encode of
    the whole.

    A short video is encoded whole. Nothing is left on the disk.

    Args:
        src_path: The video, a file: a pipe can be read once only.
        options: How it would be encoded, by a crf.
        weights: Weights of the model, if not those that come with the program.
        progress: Called with a ProgressEvent after each stretch.
        changes: Fields of EncodeOptions in the place of those of ``options``, such as ``crf=30``.

    Returns:
        What is expected of the whole.

    Raises:
        UsageError: The source is a pipe or of unknown length, or the options ask for a target.
        VqvError: Any other that :func:`encode` raises.
    """
    return estimate_of(src_path, changed(options or EncodeOptions(), changes), weights, progress)


def estimate_of(
    src_path: str | os.PathLike[str],
    options: EncodeOptions,
    weights: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | Meter | None = None,
    spread: bool = False,
) -> Estimate:
    """:func:`estimate` of these options. spread: as of :class:`.EncodePlan`."""
    source = Source.of(src_path)
    _check(source, options)
    samples = _Samples.of(source.name, options, spread)
    options = samples.options
    sums = _Sums(options.gop_frames(samples.rate))
    meter = as_meter(progress)
    if meter is not None:
        meter.total = samples.count * samples.length
    with tempfile.TemporaryDirectory(prefix="vqcodec-") as folder:
        path = Path(folder, "stretch.vqv")
        for part in samples:
            report = encode(source.name, path, part, weights=weights, overwrite=True)
            sums.add(report, path)
            if meter is not None:
                meter.update(sums.frames)
    picture_bytes, track_bytes, gops = sums.bytes_of(samples)
    frames = sums.frames if samples.whole else samples.total
    jobs = min(options.jobs or usable(), gops)
    everything = options.start is None and options.duration is None
    return Estimate(
        frames=frames,
        bytes=picture_bytes + track_bytes + sums.fixed_bytes,
        picture_bytes=picture_bytes,
        psnr=psnr_yuv(sums.sse, report.width, report.height, sums.frames).yuv,
        psnr_worst=min(sums.psnr),
        psnr_best=max(sums.psnr),
        seconds=sums.start_up + sums.seconds_per_frame * frames / jobs,
        sampled_frames=sums.frames,
        stretches=samples.count,
        source_bytes=Path(source.name).stat().st_size if everything else None,
    )
