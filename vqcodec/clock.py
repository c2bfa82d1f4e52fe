"""Clocks of files that were put together: where they jump, they are straightened for all tracks.

Transport streams that follow on each other in one file (recordings, segments, cameras) each have a
clock of their own. The pictures say where the clock jumps and by how much; the other tracks, which
are read apart from them, follow by the places in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

# kinds of files whose clock may jump, by FFmpeg's names; that of others is the truth
JUMPING = ("mpegts", "mpeg")
# ffmpeg's own bounds: what counts as a jump, in seconds
_BACK, _AHEAD = Fraction(1, 10), 10


class Jump(NamedTuple):
    """From byte ``position`` of the file on, times are ``later`` seconds later than they say."""

    position: int
    later: Fraction


def _move(packet: Any, later: Fraction) -> None:
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

    def straighten(self, packet: Any) -> None:
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

    def straighten(self, packet: Any) -> None:
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
