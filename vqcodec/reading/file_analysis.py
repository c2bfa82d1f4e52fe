"""What a .vqv file shows, read from the heads of its frames: shots, activity, cameras, likeness.
Where heads look like a gradual change of shots, or leave open what a camera does, a few pictures
are seen too.

GOPs are read one after the other; what is kept of a frame is a row of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import get_args

import numpy as np

from ..analysis.camera_path import CameraPath
from ..analysis.features import FeatureRows, FrameFacts
from ..analysis.model import Reading, ShotModel
from ..analysis.shot import THRESHOLD, Camera, Gap, Shot, spaced
from ..analysis.shots import ShotSpan, find_shots
from ..codec.frame_head import FrameHead
from ..codec.weights import StrPath, read_model_id
from ..container.reader import ContainerReader
from ..errors import DamageError, DamageLog
from .borne_out import FileThumbs, look_at_changes
from .file_heads import FileHeads
from .gop_times import frame_step, timed_gops
from .seen_cameras import look_at_cameras, told_cameras

KINDS = "IPB-"  # of frames; the last of lost ones
_CAMERAS: tuple[Camera, ...] = get_args(Camera)


@dataclass(frozen=True, kw_only=True)
class FrameRows:
    """Numbers of all frames of a file, each array (frames,); 0 and False of lost ones."""

    pts: np.ndarray
    """int64: ticks at which they are shown."""
    kind: np.ndarray
    """uint8: place in KINDS."""
    level: np.ndarray
    """uint8."""
    quality: np.ndarray
    """uint8: 0 to 63."""
    bytes: np.ndarray
    """int64: of their streams."""
    motion_bits: np.ndarray
    """float32: of weights, modes and vectors."""
    lost: np.ndarray
    """bool."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is known of a file's frames, almost all of them not decoded."""

    rows: FrameRows
    reading: Reading
    path: CameraPath
    time_base: Fraction
    end: int
    """Ticks at which the last frame ends."""
    rate: Fraction
    """Frames a second: the nominal rate, or the mean one where there is none."""
    known_model: bool
    """Whether the file was made with the program's model; if not, hyper-latents were not read."""
    damage: list[str] = field(default_factory=list)
    """What was found wrong."""

    def __len__(self) -> int:
        return len(self.rows.pts)

    def seconds(self, frame: int) -> float:
        """When a frame is shown; of the number of frames: when the last one ends."""
        ticks = self.end if frame >= len(self) else int(self.rows.pts[frame])
        return float(ticks * self.time_base)

    @property
    def gaps(self) -> list[Gap]:
        """Frames that are lost, those side by side together."""
        return [
            Gap(
                start=start,
                end=end,
                start_seconds=self.seconds(start),
                end_seconds=self.seconds(end),
            )
            for start, end, lost in self._runs()
            if lost
        ]

    def shots(self, threshold: float = THRESHOLD, least: float = 0.0) -> list[Shot]:
        """The shots in their order. They leave lost frames out, and end before them.

        threshold: 0 to 1, what a change must be believed with; least: seconds of the shortest
        shot, of two changes that are nearer the less certain one is left out.
        """
        return [
            self._shot(span)
            for start, end, lost in self._runs()
            if not lost
            for span in self._spans(start, end, threshold, least)
        ]

    def _runs(self) -> Iterator[tuple[int, int, bool]]:
        """Stretches of frames that are there, and of lost ones."""
        at = 0
        for lost, group in groupby(self.rows.lost.tolist()):
            count = sum(1 for _ in group)
            yield at, at + count, lost
            at += count

    def _spans(self, start: int, end: int, threshold: float, least: float) -> list[ShotSpan]:
        part = Reading(*(array[start:end] for array in self.reading))
        spans = find_shots(part, threshold)
        starts = [self.seconds(start + span.start) for span in spans]
        certain = [span.confidence for span in spans]
        kept = [spans[place] for place in spaced(starts, certain, self.seconds(end), least)]
        ends = [*(span.start for span in kept[1:]), end - start]
        return [
            span._replace(start=start + span.start, end=start + stop, settled=start + span.settled)
            for span, stop in zip(kept, ends, strict=True)
        ]

    def _shot(self, span: ShotSpan) -> Shot:
        own = slice(span.start, span.end)
        begin, end = self.seconds(span.start), self.seconds(span.end)
        bits = 8 * int(self.rows.bytes[own].sum())
        moving = self.reading.activity[span.start + 1 : span.end]
        return Shot(
            start=span.start,
            end=span.end,
            start_seconds=begin,
            end_seconds=end,
            transition=span.transition,
            confidence=span.confidence,
            settled=span.settled,
            activity=float(moving.mean()) if len(moving) else 0.0,
            camera=self.camera(span.settled, span.end),
            surprise=float(self.reading.surprise[own].max()),
            kbps=bits / 1000 / (end - begin) if end > begin else 0.0,
        )

    def camera(self, start: int, stop: int) -> Camera:
        """What the camera does in some frames: by the way it takes, and what the net says of most
        of them.
        """
        return _CAMERAS[int(told_cameras(self.reading, self.path, start, stop).argmax())]


def analyse_file(reader: ContainerReader, weights: StrPath | None = None) -> Analysis:
    """Read the heads of all frames of a file that is open.

    weights: of the model that the file may be of; of a file of another model all but the
    hyper-latent is read, and no picture is seen.

    Raises LimitError where more frames are lost than ``limits.concealed``, WeightsError where there
    are no weights.
    """
    known = reader.header.model_id == read_model_id(weights)
    heads, header = FileHeads(reader, weights, known), reader.header
    damage = DamageLog(reader.damaged)
    longest = max((entry.count for entry in reader.gops), default=1)
    features = FeatureRows(header.width, header.height, longest, reader.frames)
    path = CameraPath(header.width, header.height, reader.frames)
    table = _Table(reader.frames)
    end = 0
    for gop in timed_gops(reader, damage):
        frames: list[FrameFacts | None] = [None] * gop.entry.count
        first = gop.entry.first_frame
        table.pts[first : first + gop.entry.count] = gop.pts
        if not gop.lost:
            try:
                for head, _ in heads.gop(gop.number):
                    frames[head.number] = table.note(first + head.number, head)
            except DamageError as exc:
                damage.note(exc)
                table.lose(first, gop.entry.count)
                frames = [None] * gop.entry.count
        features.add(frames)
        path.add(frames)
        end = gop.pts[-1] + (gop.duration or frame_step(reader))
    begin = int(table.pts[0]) if reader.frames else 0
    length = (end - begin) * header.time_base
    mean = Fraction(reader.frames) / length if length else Fraction(25)
    rows, reading = table.rows(), ShotModel.load()(features.rows())
    if known:
        thumbs = FileThumbs(reader, weights)
        look_at_changes(reading, rows.level, rows.lost, thumbs)
        look_at_cameras(reading, path, rows.level, rows.lost, thumbs)
    return Analysis(
        rows=rows,
        reading=reading,
        path=path,
        time_base=header.time_base,
        end=end,
        rate=header.rate or mean.limit_denominator(1001),
        known_model=known,
        damage=list(damage),
    )


class _Table:
    """Rows of numbers as they come in."""

    def __init__(self, frames: int) -> None:
        self.pts = np.zeros(frames, np.int64)
        self._kind = np.full(frames, KINDS.index("-"), np.uint8)
        self._level, self._quality = np.zeros(frames, np.uint8), np.zeros(frames, np.uint8)
        self._bytes, self._motion = np.zeros(frames, np.int64), np.zeros(frames, np.float32)

    def note(self, frame: int, head: FrameHead) -> FrameFacts:
        """Note what is kept of a head; what the features are made of comes back."""
        facts = FrameFacts.of(head)
        self._kind[frame] = 0 if facts.intra else min(facts.level, 2)
        self._level[frame], self._quality[frame] = facts.level, facts.quality
        self._bytes[frame], self._motion[frame] = facts.bits // 8, facts.motion_bits
        return facts

    def lose(self, first: int, count: int) -> None:
        """Forget frames of a GOP that turned out to be damaged."""
        own = slice(first, first + count)
        self._kind[own] = KINDS.index("-")
        for array in (self._level, self._quality, self._bytes, self._motion):
            array[own] = 0

    def rows(self) -> FrameRows:
        """All of it."""
        return FrameRows(
            pts=self.pts,
            kind=self._kind,
            level=self._level,
            quality=self._quality,
            bytes=self._bytes,
            motion_bits=self._motion,
            lost=self._kind == KINDS.index("-"),
        )
