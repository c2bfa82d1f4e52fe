"""Clocks of files that were put together: where they jump, they are straightened for all tracks.

Transport streams that follow on each other in one file (recordings, segments, cameras) each have a
clock of their own. The pictures say where the clock jumps and by how much; the other tracks, which
are read apart from them, follow by the places in the file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# kinds of files whose clock may jump, by FFmpeg's names; that of others is the truth
JUMPING = ("mpegts", "mpeg")
# ffmpeg's own bounds: what counts as a jump, in seconds
_BACK, _AHEAD = Fraction(1, 10), 10


class Jump(NamedTuple):
    """From byte ``position`` of the file on, times are ``later`` seconds later than they say."""

    position: int
    later: Fraction


_SEAM = 1 << 18  # bytes around a jump where packets of either part may be incomplete


def at_seam(position: int | None, jumps: Sequence[Jump]) -> bool:
    """Whether a place of the file is where parts were put together: what is torn there was cut, and
    counters begin anew."""
    return position is not None and any(abs(position - j.position) < _SEAM for j in jumps)


def _move(packet: Packet[Stream] | Packet[VideoStream], later: Fraction) -> None:
    ticks = round(later / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


class PictureClock:
    """Finds jumps by the packets of the pictures, in the order of the file, and takes them out."""

    def __init__(self, step: Fraction) -> None:
        self._step = step  # seconds of a frame that doesn't say how long it lasts
        self.jumps: list[Jump] = []
        self._later = Fraction(0)
        self._last: Fraction | None = None  # time of decoding of the packet before
        self._end = Fraction(0)  # when the last picture so far ends

    def straighten(self, packet: Packet[VideoStream]) -> None:
        """Move a packet to the clock of the first part."""
        times = [t for t in (packet.dts, packet.pts) if t is not None]
        if not times or packet.time_base is None:
            return
        base = packet.time_base
        decoded = times[0] * base + self._later
        length = packet.duration * base if packet.duration else self._step
        if self._last is not None and packet.pos is not None:
            if decoded < self._last - _BACK or decoded > self._last + length + _AHEAD:
                change = self._end - (times[-1] * base + self._later)
                self._later += change
                decoded += change
                self.jumps.append(Jump(packet.pos, self._later))
        self._last = decoded
        self._end = max(self._end, times[-1] * base + self._later + length)
        if self._later:
            _move(packet, self._later)


class TrackClock:
    """The same for the packets of another track."""

    def __init__(self, jumps: Sequence[Jump]) -> None:
        self._jumps = jumps
        self._passed = 0  # jumps behind which the track is
        self._last: Fraction | None = None  # time of the packet before, as the file says it

    def straighten(self, packet: Packet[Stream]) -> None:
        """Move a packet to the clock of the first part."""
        before, place = self._passed, -1 if packet.pos is None else packet.pos
        while self._passed < len(self._jumps) and place >= self._jumps[self._passed].position:
            self._passed += 1
        time = packet.pts if packet.dts is None else packet.dts
        if time is not None:
            said = time * packet.time_base
            # sound of the next part may lie before its first picture
            if self._passed == before < len(self._jumps) and self._last is not None:
                if said < self._last - _BACK or said > self._last + _AHEAD:
                    self._passed += 1
            self._last = said
        if self._passed:
            _move(packet, self._jumps[self._passed - 1].later)


class BestEffort:
    """FFmpeg's best_effort_timestamp: times of display, or of decoding where those are wrong.

    Files without times of display (.avi) give each packet its time of decoding; then times of
    frames fall where pictures were reordered. ``faulty_pts``: that is known beforehand.
    """

    def __init__(self, faulty_pts: bool = False) -> None:
        self._faulty_pts, self._faulty_dts = int(faulty_pts), 0
        self._last_pts = self._last_dts = -math.inf
        self._guess: int | None = None
        self._apart = 0  # ticks from one guess to the next

    def guess(self, pts: int | None, dts: int | None) -> int | None:
        """The time of the next frame in the order of display."""
        if dts is not None:
            self._faulty_dts += dts <= self._last_dts
            self._last_dts = dts
        elif pts is not None:
            self._last_dts = pts
        if pts is not None:
            self._faulty_pts += pts <= self._last_pts
            self._last_pts = pts
        elif dts is not None:
            self._last_pts = dts
        right = self._faulty_pts <= self._faulty_dts
        found = pts if right and pts is not None else dts
        if found is None and pts is not None and self._guess is not None:
            found = self._guess + self._apart  # the last frames come without a time of decoding
        if found is not None and self._guess is not None:
            self._apart = found - self._guess
        self._guess = found
        return found

    def rewind(self) -> None:
        """The frames seen so far come again; which times are wrong is known by now."""
        self._last_pts = self._last_dts = -math.inf
        self._guess = None
