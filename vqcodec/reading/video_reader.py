"""A .vqv file as a sequence of frames, after torchcodec's VideoDecoder."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, overload

from .. import values
from ..errors import RangeError, UsageError
from .coded_reader import CodedReader
from .frames import Data, Frame, FrameBatch
from .open_file import Manner, OpenFile

if TYPE_CHECKING:
    from ..container.packets import StreamHeader
    from .outputs import Output, Outputs


def outputs(header: StreamHeader, output: Output, device: str) -> Outputs:
    """What makes an output of the pictures of a stream; tensors are on the device."""
    from .outputs import ToArrays, of_numpy

    if of_numpy(output):
        return ToArrays(header, output)
    from .tensors import ToTensors

    return ToTensors(header, output, device)


class VideoReader(CodedReader, Generic[Data]):
    """Frames of a .vqv file by number and by time, as tensors or arrays, and the tokens that
    they are coded as; made by :func:`open`.

    ``metadata``: VideoMetadata. ``damage``: sentences on what was found wrong. A reader may be used
    by several threads, whose calls wait for each other; for work side by side each thread or
    process opens the file itself. Pickling a reader opens the file anew where it is unpickled.
    """

    def __init__(self, file: OpenFile, manner: Manner, close: Callable[[], None]) -> None:
        super().__init__(file, manner, close)
        self._shape: Outputs | None = None
        self._next = 0  # the frame that comes behind the one given last

    def __repr__(self) -> str:
        metadata = self.metadata
        size, length = f"{metadata.width}x{metadata.height}", f"{metadata.duration_seconds:.3f} s"
        return f"VideoReader({self.path!r}, {size}, {metadata.num_frames} frames, {length})"

    # -- frames by number

    @overload
    def __getitem__(self, key: slice) -> Data: ...
    @overload
    def __getitem__(self, key: int) -> Data: ...
    def __getitem__(self, key: int | slice) -> Data:
        """The pictures alone: of one frame, or of a slice as a batch, which may have any step and
        no frames at all.
        """
        if isinstance(key, slice):
            return self._batch(self._range(key.start, key.stop, key.step)).data
        return self.get_frame_at(key).data

    def __iter__(self) -> Iterator[Data]:
        """All pictures in order, each as ``self[i]`` gives it."""
        return (self[i] for i in range(len(self)))

    def get_frame_at(self, index: int) -> Frame[Data]:
        """The frame with this number; negative ones count from the end.

        Raises:
            RangeError: There is no such frame.
            DamageError: It is lost, unless damage is concealed.
        """
        number = self._number(index)
        with self._open():
            (_, picture, concealed), *_ = self._access.pictures(
                [number], ahead=number == self._next
            )
            self._next = number + 1
            return Frame(self._outputs(picture), *self._times(number), concealed)

    def get_frames_at(self, indices: Iterable[int]) -> FrameBatch[Data]:
        """The frames with these numbers, in the order of the numbers, which may repeat. No frame is
        decoded twice, and none that they don't refer to.

        Raises:
            RangeError: One of them is not there.
            DamageError: One of them is lost, unless damage is concealed.
        """
        return self._batch([self._number(i) for i in values.each(values.index)(indices, "indices")])

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch[Data]:
        """Frames ``start`` to ``stop`` - 1, every ``step``-th; bounds as in a slice.

        Raises:
            UsageError: The step is below 1.
            DamageError: A frame is lost, unless damage is concealed.
        """
        step = values.index(step, "step")
        if step < 1:
            raise UsageError(f"{step} is out of range, allowed are numbers from 1", option="step")
        return self._batch(self._range(start, stop, step))

    # -- frames by time

    def get_frame_played_at(self, seconds: float) -> Frame[Data]:
        """The frame that is shown at this time, on the clock of ``pts_seconds``.

        Raises:
            RangeError: The time lies outside of the video.
            DamageError: The frame is lost, unless damage is concealed.
        """
        return self.get_frame_at(self._number_at(seconds))

    at = get_frame_played_at

    def get_frames_played_at(self, seconds: Iterable[float]) -> FrameBatch[Data]:
        """The frames that are shown at these times, in their order.

        Raises:
            RangeError: One of the times lies outside of the video.
            DamageError: A frame is lost, unless damage is concealed.
        """
        return self._batch(
            [self._number_at(s) for s in values.each(values.seconds)(seconds, "seconds")]
        )

    def get_frames_played_in_range(
        self, start_seconds: float, stop_seconds: float
    ) -> FrameBatch[Data]:
        """All frames that are shown at some time from ``start_seconds`` on and before
        ``stop_seconds``, where times behind the video are its end.

        Raises:
            RangeError: The first time lies outside of the video, or behind the second.
            DamageError: A frame is lost, unless damage is concealed.
        """
        start_seconds = values.seconds(start_seconds, "start_seconds")
        stop_seconds = values.seconds(stop_seconds, "stop_seconds")
        if not start_seconds <= stop_seconds:
            raise RangeError(
                f"the range from {start_seconds} to {stop_seconds} s ends before it begins",
                file=self.path,
            )
        first = self._number_at(start_seconds)
        with self._open():
            seconds = self._seconds
            gop = max(0, bisect_left(self._timeline.starts, stop_seconds, key=seconds) - 1)
            stop = self._container.gops[gop].first_frame + bisect_left(
                self._timeline[gop].pts, stop_seconds, key=seconds
            )
        return self._batch(range(first, stop if start_seconds < stop_seconds else first))

    # -- inside

    @property
    def _outputs(self) -> Outputs:
        if self._shape is None:
            self._shape = outputs(
                self._container.header, self._manner.output, self._access.codec.backend.device
            )
        return self._shape

    def _number(self, key: int) -> int:
        count = len(self)
        number = values.index(key, "index")
        if not -count <= number < count:
            raise RangeError(f"there is no frame {number}, it has {count}", file=self.path)
        return number % count

    def _seconds(self, ticks: int) -> float:
        return float(ticks * self._container.header.time_base)

    def _number_at(self, seconds: float) -> int:
        metadata, seconds = self.metadata, values.seconds(seconds, "seconds")
        # ticks are compared as the seconds that frames are given with, so that these find their
        # frames
        if not metadata.begin_stream_seconds <= seconds < metadata.end_stream_seconds:
            raise RangeError(
                f"nothing is shown at {seconds} s, it goes from {metadata.begin_stream_seconds} to "
                f"{metadata.end_stream_seconds} s",
                file=self.path,
            )
        with self._open():
            gop = max(0, bisect_right(self._timeline.starts, seconds, key=self._seconds) - 1)
            return self._container.gops[gop].first_frame + max(
                0, bisect_right(self._timeline[gop].pts, seconds, key=self._seconds) - 1
            )

    def _times(self, number: int) -> tuple[float, float]:
        """When a frame begins, and for how long it is shown, in seconds."""
        gop = self._timeline.gop_of(number)
        pts, end = self._timeline[gop]
        frame = number - self._container.gops[gop].first_frame
        return self._seconds(pts[frame]), self._seconds(
            (pts[frame + 1] if frame + 1 < len(pts) else end) - pts[frame]
        )

    def _batch(self, numbers: Sequence[int]) -> FrameBatch[Data]:
        with self._open():
            places: dict[int, list[int]] = {}
            for at, number in enumerate(numbers):
                places.setdefault(number, []).append(at)
            data = self._outputs.empty(len(numbers))
            hidden = [False] * len(numbers)
            for number, picture, concealed in self._access.pictures(places):
                one = self._outputs(picture)
                for whole, part in (
                    zip(data, one, strict=True) if isinstance(data, tuple) else [(data, one)]
                ):
                    whole[places[number]] = part
                for at in places[number]:
                    hidden[at] = concealed
            if len(numbers):
                self._next = numbers[-1] + 1
            times = [self._times(n) for n in numbers]
            column = self._outputs.column
            begins, lengths = (column([t[k] for t in times], float) for k in (0, 1))
            return FrameBatch(data, begins, lengths, column(hidden, bool))
