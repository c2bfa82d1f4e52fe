"""Pictures of a file in order of display, damage concealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from ..container.packets import GopPayload
from ..container.reader import ContainerReader
from ..errors import DamageError, LimitError, Place
from ..options import DecodeOptions
from ..picture import Picture
from .decode_report import DecodeReport
from .gop_times import LostTimes, frame_step
from .lost_frames import Gap

if TYPE_CHECKING:
    from ..codec.weights import Codec


class ConcealingDecoder:
    """Decodes GOPs of a file in order, hiding damage.

    :meth:`pictures` gives ``(pts, duration, Picture)`` of a GOP with 10-bit pictures; reports go
    into ``report``. Where frames are lost the first picture of the next undamaged GOP is decoded
    ahead, so that they can be blended into it; nothing else is held.
    """

    def __init__(
        self, reader: ContainerReader, codec: Codec, options: DecodeOptions, report: DecodeReport
    ) -> None:
        self._reader, self._codec, self._options, self._report = reader, codec, options, report
        self._held: Picture | None = None
        self._last_pts: int | None = None
        self._gap = Gap(0, 0, None, None)
        self._begin: int | None = None  # index of the first GOP that was asked for
        self.step = frame_step(reader)
        self._lost_times = LostTimes(reader.gops, self.step)

    def _lost(self, error: DamageError) -> None:
        if self._options.strict:
            raise error
        self._report.damage.note(error)
        self._report.damaged_gops += 1

    def _decoded(self, gop: GopPayload, wanted: range) -> Iterator[Picture | None]:
        """Pictures of a GOP as decoded; DamageError, at the end, when their checksum is not the
        encoder's.

        Frames not wanted are given as None and cost nothing; the checksum is that of all frames, so
        it is looked at only when all are wanted.
        """
        from ..codec.gop_body import checksum_update
        from ..codec.gop_decoder import decode_gop

        header, crc = self._reader.header, 0
        batch = {"batch": self._options.batch} if self._options.batch else {}
        pictures = decode_gop(
            self._codec, gop.body, len(gop.pts), header.width, header.height, wanted=wanted, **batch
        )
        for number in range(len(gop.pts)):
            picture = next(pictures, None) if number in wanted else None
            if picture is not None:
                crc = checksum_update(crc, picture)
            elif number in wanted:
                raise DamageError(f"{number} pictures instead of {len(gop.pts)}")
            yield picture
        if len(wanted) == len(gop.pts) and crc != gop.checksum:
            raise DamageError("decoded pixels differ from the encoder's")

    def _behind(self, number: int) -> tuple[int, Picture | None]:
        """Number and picture of the first frame behind that GOP that can be decoded; past the
        last frame there is none.
        """
        for gop_number in range(number + 1, len(self._reader.gops)):
            try:
                gop = self._reader.read_gop(gop_number, self._last_pts)
                return self._reader.gops[gop_number].first_frame, next(self._decoded(gop, range(1)))
            except DamageError:  # reported when it is that GOP's turn
                continue
        return self._reader.frames, None

    def _look_back(self, number: int) -> None:
        """Where decoding begins with lost frames of that GOP: hold the picture and time before
        them, as if all had been decoded from there on.
        """
        gops, lost = self._reader.gops, 0
        for before in range(number - 1, -1, -1):
            try:
                gop = self._reader.read_gop(before)
                *_, picture = self._decoded(gop, range(len(gop.pts) - 1, len(gop.pts)))
            except DamageError:
                lost += gops[before].count
                if lost > self._options.limits.concealed:
                    return
                continue
            self._held, self._last_pts = picture, gop.pts[-1]
            for k in range(before + 1, number):
                self._last_pts = self._lost_times.of(k, self._last_pts)[-1]
            end, behind = self._behind(number)
            self._gap = Gap(gops[before + 1].first_frame, end, picture, behind)
            return

    def _concealed(
        self, number: int, first: int, times: list[int] | None
    ) -> Iterator[tuple[int, Picture]]:
        """Times and pictures in the place of that GOP's frames from number ``first`` on."""
        entry, header, limit = (
            self._reader.gops[number],
            self._reader.header,
            self._options.limits.concealed,
        )
        end = entry.first_frame + entry.count
        lost = self._report.concealed + end - first
        if lost > limit:  # before a list of as many times is made
            raise LimitError(
                f"{lost} frames are lost, over the limit of {limit}",
                option="concealed",
            )
        if number == self._begin and first == entry.first_frame:
            self._look_back(number)
        if not self._gap.first <= first < self._gap.end:
            stop, picture = self._behind(number)
            self._gap = Gap(first, stop, self._held, picture)
        if times is None:
            times = self._lost_times.of(number, self._last_pts)
        for frame in range(first, end):
            self._report.concealed += 1
            yield times[frame - first], self._gap.picture(frame, header.width, header.height)

    def pictures(
        self, number: int, choose: Callable[[list[int]], range] | None = None
    ) -> Iterator[tuple[int, int, Picture | None]]:
        """Frames of the GOP with that number, always as many as its entry says. LimitError, and
        with ``strict`` DamageError.

        ``choose`` says from the times of its frames which of them are wanted; the pictures of
        others may be None.
        """
        entry = self._reader.gops[number]
        self._begin = number if self._begin is None else self._begin
        done = 0
        times: list[int] | None = None
        duration = 0
        try:
            gop = self._reader.read_gop(number, self._last_pts)
            times, duration = list(gop.pts), gop.duration
            with closing(
                self._decoded(gop, choose(times) if choose else range(len(times)))
            ) as decoded:  # type: ignore[type-var]
                for picture in decoded:
                    self._held, self._last_pts = picture or self._held, times[done]
                    done += 1
                    yield times[done - 1], duration if done == entry.count else 0, picture
        except DamageError as exc:
            exc.place = exc.place.within(
                Place(part=f"GOP {number}", byte=entry.offset, frames=entry.frames)
            )
            self._lost(exc)
        if done < entry.count:
            for pts, picture in self._concealed(
                number, entry.first_frame + done, times and times[done:]
            ):
                self._last_pts = pts
                done += 1
                yield pts, duration if done == entry.count else 0, picture
        self._report.gops += 1
