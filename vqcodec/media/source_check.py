"""What came of a source, against what its file declares: damage is counted and told, not raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from .clock import JUMPING, Jump, at_seam
from .integrity import broken_at

_LEAST_MISSING = Fraction(1, 10)  # seconds of the declared length; less is rounding


@dataclass
class Reached:
    """How far the reading of a source went."""

    stopped: bool  # by the end that was asked for
    whole: bool  # from the begin, of a file that can be looked at
    decoded: int  # frames given
    end: Fraction | None  # when the last frame read ends, in seconds on the clock of the file
    origin: Fraction  # when the stream begins, in seconds
    step: Fraction  # seconds from frame to frame


@dataclass
class SourceCheck:
    """Counts what is wrong with a source while it is read, and judges at the end.

    ``corrupt`` counts frames damaged or missing; ``warnings`` are sentences.
    """

    path: str
    kind: str = ""  # of the file, FFmpeg's name, from when it is open
    corrupt: int = 0
    warnings: list[str] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)  # of the clock of the file
    # places in the file of packets that are damaged, and of those that gave damaged frames
    bad_packets: list[int | None] = field(default_factory=list)
    bad_frames: list[int | None] = field(default_factory=list)
    lasted: int = 0  # ticks of all packets together
    place: int | None = None  # in the file, of the last packet
    numbered: int = 0  # frames that had no time
    repaired: int = 0  # frames whose time was not after the one before
    missing: int = 0  # frames that times leave room for

    def restart(self) -> None:
        """Forget what was found, as the file is read anew."""
        self.corrupt, self.bad_packets, self.lasted = 0, [], 0

    def unreadable(self) -> None:
        """The file cannot be read on."""
        self.corrupt += 1
        self.warnings.append("the file cannot be read to its end")

    @cached_property
    def broken(self) -> list[int]:
        """Where the file is not what its kind demands."""
        return broken_at(self.path, self.kind)

    def finish(
        self,
        reached: Reached,
        container: InputContainer,
        stream: VideoStream,
        cut: Callable[[], bool],
    ) -> None:
        """Compare what came with what the file declares; ``cut`` tells of files without
        lengths whether they end within a frame."""
        if self.jumps:
            times = "once" if len(self.jumps) == 1 else f"{len(self.jumps)} times"
            self.warnings.append(
                f"the clock of the file jumps {times}; all tracks were straightened"
            )
        if self.numbered and reached.decoded > 1:
            self.warnings.append(
                f"{self.numbered} frames had no time and were numbered by the frame rate"
            )
        if self.repaired:
            self.warnings.append(
                f"{self.repaired} frames had a time not after the one before and were moved"
            )
        # a damaged packet mostly shows as a damaged frame too
        bad = (self.bad_packets, self.bad_frames)
        self.corrupt += max(sum(not at_seam(p, self.jumps) for p in places) for places in bad)
        if not reached.stopped:
            self._compare_length(reached, container, stream)
            if cut():
                self.corrupt += 1
                self.warnings.append("the file ends within a frame")
            if reached.whole:
                self._look_at_structure()
        if self.corrupt:
            are = "frame of the source is" if self.corrupt == 1 else "frames of the source are"
            self.warnings.append(f"{self.corrupt} {are} damaged or missing")

    def _compare_length(
        self, reached: Reached, container: InputContainer, stream: VideoStream
    ) -> None:
        """Count what lacks of the length that the file declares."""
        declared = declared_length(container, stream)
        # of streams that say nothing FFmpeg guesses by the whole file: a still with sound in .ts is
        # not cut; and playlists give lengths in whole seconds
        if not declared or reached.end is None or self.kind in (*JUMPING, "hls"):
            return
        missing = declared - self._declarable(reached, stream)
        tolerance = max(2 * reached.step, _LEAST_MISSING)
        if missing > tolerance and declared - others_end(container, stream, declared) > tolerance:
            count = max(1, int(missing / reached.step))
            self.corrupt += count
            self.warnings.append(
                f"the file declares {float(declared):.2f} s, about {count} frames more than could "
                "be read: it is cut or damaged"
            )

    def _declarable(self, reached: Reached, stream: VideoStream) -> Fraction:
        """How much of the declared length was there, in seconds."""
        assert reached.end is not None
        if "matroska" in self.kind:
            # its durations are end times: they count from zero, not from the first picture
            return reached.end
        end = reached.end - reached.origin
        if "mp4" not in self.kind or stream.time_base is None:
            return end
        # mp4's is the sum of all packets, hidden ones too; the last one shown need not be the last
        # in the file
        return max(end, self.lasted * stream.time_base)

    def _look_at_structure(self) -> None:
        """Count damage that demuxers pass over."""
        # where files were put together counters of packets begin anew
        broken = [at for at in self.broken if not at_seam(at, self.jumps)]
        if not broken:
            return
        self.corrupt = max(self.corrupt, 1, self.missing)
        places = f"byte {broken[0]}"
        if len(broken) > 1:
            places = f"{len(broken)} places, the first at byte {broken[0]}"
        self.warnings.append(f"the file is cut or damaged at {places}")


def others_end(container: InputContainer, stream: VideoStream, declared: Fraction) -> Fraction:
    """When the last of the other tracks ends that declare the same length or none, in seconds
    from the begin of its own; 0 where there are none, or it cannot be read.

    Some kinds (ASF, WTV) declare one length for all tracks, that of the longest, often the sound.
    """
    others = [
        other
        for other in container.streams
        if other.index != stream.index
        and other.time_base
        and (
            not other.duration or abs(other.duration * other.time_base - declared) < _LEAST_MISSING
        )
    ]
    begins: dict[int, int] = {}
    end = Fraction(0)
    try:
        if others:
            container.seek(0)
        for packet in container.demux(*others) if others else ():
            if packet.pts is None or packet.stream.time_base is None:
                continue
            begin = begins.setdefault(packet.stream_index, packet.pts)
            lasted = packet.pts + (packet.duration or 0) - begin
            end = max(end, lasted * packet.stream.time_base)
    except (av.error.FFmpegError, OSError, ValueError):
        pass  # what could be read counts
    return end


def declared_length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Length of a stream in seconds as its file declares it."""
    if tag := stream.metadata.get("DURATION"):
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        except (ValueError, ZeroDivisionError):
            return None
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    # the length of the whole file may be that of its sound
    alone = container.duration and len(container.streams) == 1
    return Fraction(container.duration or 0, 1_000_000) if alone else None
