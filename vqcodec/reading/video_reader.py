"""A .vqv file as a sequence of frames: what ``vqcodec.open`` gives, after torchcodec's
VideoDecoder.
"""

from __future__ import annotations

import os
import threading
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, cast, overload

from .. import values
from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, name
from ..container.byte_source import Source, open_source
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError, DamageLog, RangeError, UsageError, located
from ..options import DecodeOptions, Limits
from ..system.surroundings import undisturbed
from .frames import Data, Frame, FrameBatch, VideoMetadata
from .opening import check_model
from .timeline import Timeline

if TYPE_CHECKING:
    from torch import Tensor

    from ..codec.tokens import FrameTokens, Vocabulary
    from .random_access import RandomAccess
    from .tensors import Output, Planes, ToTensors

CACHE_BYTES = 256 << 20
_CONCEAL = "on_damage='conceal' fills in what is lost"


_READERS: weakref.WeakSet[VideoReader[Any]] = weakref.WeakSet()
_PATIENCE = 5.0  # seconds that a fork waits for calls of other threads
_held: list[tuple[VideoReader[Any], bool]] = []


def _before_fork() -> None:
    # libraries have locks of their own: a child whose parent was within them could wait for ever
    _held[:] = [(reader, reader._lock.acquire(timeout=_PATIENCE)) for reader in list(_READERS)]


def _after_fork_in_parent() -> None:
    for reader, taken in _held:
        if taken:
            reader._lock.release()
    _held.clear()


def _after_fork_in_child() -> None:
    for reader, _ in _held:
        reader._lock, reader._made = threading.RLock(), None
    _held.clear()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


class VideoReader(Generic[Data]):
    """Frames of a .vqv file by number and by time, as tensors, and the tokens that they are coded
    as; made by :func:`open`.

    ``metadata``: VideoMetadata. ``damage``: sentences on what was found wrong. A reader may be used
    by several threads, whose calls wait for each other; for work side by side each thread or
    process opens the file itself. Pickling a reader opens the file anew where it is unpickled.
    """

    def __init__(
        self,
        source: Source,
        options: DecodeOptions,
        output: Output,
        on_damage: Literal["raise", "conceal"],
        cache_bytes: int,
        weights: str | None,
    ) -> None:
        self.path, file, close = open_source(source)
        path = self.path
        self._source = bytes(source) if isinstance(source, memoryview) else source
        self._options, self._output, self._conceal, self._cache_bytes, self._weights = (
            options,
            output,
            on_damage == "conceal",
            cache_bytes,
            weights,
        )
        self._lock = threading.RLock()
        _READERS.add(self)
        self._closed = False
        self._made: RandomAccess | None = None
        self._shape: ToTensors | None = None
        self._next = 0  # the frame that comes behind the one given last
        self._close_file = weakref.finalize(
            self, close
        )  # a reader that nobody closes does it when it is gone
        with ExitStack() as stack:
            stack.callback(self._close_file)
            with located(file=path):
                self._container = reader = ContainerReader.open(file, options.limits)
            self.damage = DamageLog(reader.damaged)
            if not self._conceal and (reader.damaged or not reader.complete):
                raise DamageError(
                    reader.damaged[0] if reader.damaged else "the file is not complete",
                    file=path,
                    advice=_CONCEAL,
                )
            from ..codec.weights import read_model_id

            with self._open():
                check_model(reader, read_model_id(weights))
                if options.device not in ("auto", "cpu"):  # a device that isn't there is told now
                    from ..codec.nets.backend_choice import choose_backend

                    choose_backend(options.device)
            stored = StoredTracks(reader)
            self.damage += stored.damage
            self._timeline = Timeline(reader, self.damage if self._conceal else None)
            self.metadata = self._metadata(stored.description.tags)
            stack.pop_all()

    def _metadata(self, tags: dict[str, str]) -> VideoMetadata:
        h, n = self._container.header, self._container.frames
        begin, end = (float(t * h.time_base) for t in (self._timeline.begin, self._timeline.end))
        return VideoMetadata(
            num_frames=n,
            width=h.width,
            height=h.height,
            begin_stream_seconds=begin,
            end_stream_seconds=end,
            average_fps=n / (end - begin) if end > begin else None,
            time_base=h.time_base,
            pixel_aspect_ratio=h.sar,
            rotation=h.rotation,
            bit_depth=h.bit_depth,
            color_primaries=name(PRIMARIES, h.primaries),
            color_transfer=name(TRANSFERS, h.transfer),
            color_matrix=name(MATRICES, h.matrix),
            color_range=name(RANGES, h.range),
            chroma_location=name(LOCATIONS, h.chroma_location),
            crf=h.crf,
            model_id=h.model_id.hex(),
            bytes=self._container.size,
            tags=dict(tags),
        )

    # -- opening and closing

    def close(self) -> None:
        """Close the file and free what was decoded; repeated calls do nothing, all others raise
        UsageError from then on.
        """
        with self._lock:
            self._close_file()
            self._closed = True
            self._made = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        on_damage = "conceal" if self._conceal else "raise"
        return VideoReader, (
            self._source,
            self._options,
            self._output,
            on_damage,
            self._cache_bytes,
            self._weights,
        )

    def __repr__(self) -> str:
        m = self.metadata
        return f"VideoReader({self.path!r}, {m.width}x{m.height}, {m.num_frames} frames, {m.duration_seconds:.3f} s)"

    # -- frames by number

    def __len__(self) -> int:
        return self._container.frames

    @property
    def gop_starts(self) -> list[int]:
        """Numbers of the I frames, which need no other frame."""
        return [e.first_frame for e in self._container.gops]

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
        """The frame with this number; negative ones count from the end. RangeError where there is
        none.
        """
        i = self._number(index)
        with self._open():
            (_, picture, concealed), *_ = self._access.pictures([i], ahead=i == self._next)
            self._next = i + 1
            return Frame(self._tensors(picture), *self._times(i), concealed)

    def get_frames_at(self, indices: Iterable[int]) -> FrameBatch[Data]:
        """The frames with these numbers, in the order of the numbers, which may repeat. No frame is
        decoded twice, and none that they don't refer to.
        """
        return self._batch([self._number(i) for i in values.each(values.index)(indices, "indices")])

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch[Data]:
        """Frames ``start`` to ``stop`` - 1, every ``step``-th; bounds as in a slice."""
        step = values.index(step, "step")
        if step < 1:
            raise UsageError(f"{step} is out of range, allowed are numbers from 1", option="step")
        return self._batch(self._range(start, stop, step))

    # -- frames by time

    def get_frame_played_at(self, seconds: float) -> Frame[Data]:
        """The frame that is shown at this time, on the clock of ``pts_seconds``. RangeError outside
        of the video.
        """
        return self.get_frame_at(self._number_at(seconds))

    at = get_frame_played_at

    def get_frames_played_at(self, seconds: Iterable[float]) -> FrameBatch[Data]:
        """The frames that are shown at these times, in their order."""
        return self._batch(
            [self._number_at(s) for s in values.each(values.seconds)(seconds, "seconds")]
        )

    def get_frames_played_in_range(
        self, start_seconds: float, stop_seconds: float
    ) -> FrameBatch[Data]:
        """All frames that are shown at some time from ``start_seconds`` on and before
        ``stop_seconds``, where times behind the video are its end.
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
            g = max(0, bisect_left(self._timeline.starts, stop_seconds, key=seconds) - 1)
            stop = self._container.gops[g].first_frame + bisect_left(
                self._timeline[g].pts, stop_seconds, key=seconds
            )
        return self._batch(range(first, stop if start_seconds < stop_seconds else first))

    # -- tokens

    def tokens(
        self, start: int = 0, stop: int | None = None, *, max_level: int | None = None
    ) -> list[FrameTokens]:
        """What is coded of frames ``start`` to ``stop`` - 1 (bounds as in a slice): codebook
        indices, classes, motion; see FrameTokens.

        ``max_level`` leaves out B frames of deeper levels: 0 for I frames alone, 1 for all key
        frames, 2 for the first B frame between them too. Entropy decoding runs the prior net, and
        motion compensation for P and B frames; so the synthesis net runs too, but for no frame that
        none of those asked for refers to. Lost frames are left out where they would be concealed.
        """
        if max_level is not None:
            max_level = values.index(max_level, "max_level")
        with self._open():
            return list(self._access.tokens(self._range(start, stop), max_level))

    @property
    def vocabulary(self) -> Vocabulary:
        """Numbers for all codewords of the model, for tokens as flat sequences."""
        with self._open():
            from ..codec.tokens import Vocabulary

            return Vocabulary(self._access.codec)

    # -- inside

    @contextmanager
    def _open(self) -> Iterator[None]:
        """One thread at a time; errors get the name of the file, and those of damage the advice
        what to do.
        """
        with self._lock:
            if self._closed:
                raise UsageError("the reader is closed", file=self.path)
            with located(file=self.path), undisturbed():
                try:
                    yield
                except DamageError as exc:
                    if not self._conceal:
                        exc.advice = exc.advice or _CONCEAL
                    raise

    @property
    def _access(self) -> RandomAccess:
        """What runs the nets; made when a picture or its tokens are first asked for."""
        if self._made is None:
            from .random_access import RandomAccess

            self._made = RandomAccess(
                self._container,
                self._timeline,
                self._options,
                self._cache_bytes,
                self._weights,
                self.damage if self._conceal else None,
            )
        return self._made

    @property
    def _tensors(self) -> ToTensors:
        if self._shape is None:
            from .tensors import ToTensors

            self._shape = ToTensors(
                self._container.header, self._output, self._access.codec.backend.device
            )
        return self._shape

    def _range(self, start: int | None, stop: int | None, step: int | None = None) -> range:
        """Frames of a slice with these bounds."""
        bounds = {"start": start, "stop": stop, "step": step}
        for bound, value in bounds.items():
            bounds[bound] = None if value is None else values.index(value, bound)
        if step == 0:
            raise UsageError("0 is out of range, allowed are all other numbers", option="step")
        return range(*slice(*bounds.values()).indices(len(self)))

    def _number(self, key: int) -> int:
        n = len(self)
        i = values.index(key, "index")
        if not -n <= i < n:
            raise RangeError(f"there is no frame {i}, it has {n}", file=self.path)
        return i % n

    def _seconds(self, ticks: int) -> float:
        return float(ticks * self._container.header.time_base)

    def _number_at(self, seconds: float) -> int:
        m, seconds = self.metadata, values.seconds(seconds, "seconds")
        # ticks are compared as the seconds that frames are given with, so that these find their frames
        if not m.begin_stream_seconds <= seconds < m.end_stream_seconds:
            raise RangeError(
                f"nothing is shown at {seconds} s, it goes from {m.begin_stream_seconds} to "
                f"{m.end_stream_seconds} s",
                file=self.path,
            )
        with self._open():
            g = max(0, bisect_right(self._timeline.starts, seconds, key=self._seconds) - 1)
            return self._container.gops[g].first_frame + max(
                0, bisect_right(self._timeline[g].pts, seconds, key=self._seconds) - 1
            )

    def _times(self, i: int) -> tuple[float, float]:
        """When a frame begins, and for how long it is shown, in seconds."""
        g = self._timeline.gop_of(i)
        pts, end = self._timeline[g]
        f = i - self._container.gops[g].first_frame
        return self._seconds(pts[f]), self._seconds(
            (pts[f + 1] if f + 1 < len(pts) else end) - pts[f]
        )

    def _batch(self, numbers: Sequence[int]) -> FrameBatch[Data]:
        with self._open():
            import torch

            places: dict[int, list[int]] = {}
            for at, n in enumerate(numbers):
                places.setdefault(n, []).append(at)
            data = self._tensors.empty(len(numbers))
            hidden = torch.zeros(len(numbers), dtype=torch.bool)
            for n, picture, concealed in self._access.pictures(places):
                one = self._tensors(picture)
                for whole, part in (
                    zip(data, one, strict=True) if isinstance(data, tuple) else [(data, one)]
                ):
                    whole[places[n]] = part
                hidden[places[n]] = concealed
            if len(numbers):
                self._next = numbers[-1] + 1
            times = torch.tensor([self._times(n) for n in numbers], dtype=torch.float64).reshape(
                -1, 2
            )
            return FrameBatch(data, times[:, 0], times[:, 1], hidden)


def _device(value: Any, name: str) -> str:
    """A name, or a torch.device, which writes as one."""
    return str(value)


@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["rgb", "float"] = ...,
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[Tensor]: ...
@overload
def open(
    source: Source,
    device: str = ...,
    *,
    output: Literal["yuv"],
    on_damage: Literal["raise", "conceal"] = ...,
    cache_bytes: int = ...,
    batch: int = ...,
    weights: str | os.PathLike[str] | None = ...,
    limits: Limits | None = ...,
) -> VideoReader[Planes]: ...
@values.taking(
    device=_device,
    output=values.text,
    on_damage=values.text,
    cache_bytes=values.whole,
    batch=values.whole,
    weights=values.path,
    limits=values.instance(Limits),
)
def open(
    source: Source,
    device: str = "cpu",
    *,
    output: Output = "rgb",
    on_damage: Literal["raise", "conceal"] = "raise",
    cache_bytes: int = CACHE_BYTES,
    batch: int = 0,
    weights: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> VideoReader[Any]:
    """Open a .vqv file for reading frames and tokens; nothing but header, index and the last GOP is
    read until they are asked for.

    source: a path, the bytes of a file, or a file object that gives bytes and can seek; that stays
    open, and nobody else may use it meanwhile.
    device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, where the nets run and the tensors
    are.
    output: ``rgb`` (3, H, W) uint8; ``float`` the same as float32 from 0 to 1, not rounded to 8
    bits; ``yuv`` the planes (tensors.Planes).
    on_damage: ``raise`` DamageError, at once where the file is not whole and else when a damaged
    frame is asked for; or ``conceal`` as ``decode`` does: what is lost is blended from the pictures
    around it and marked, and ``damage`` tells of it. For that the whole file is read once, without
    decoding it.
    cache_bytes: of decoded frames that are kept, at most; less where ``limits.memory`` leaves less
    beside the decoder.
    batch: pictures that go through the nets at once, 0 for automatic. weights: a file, if not the
    weights that come with the program. Raises UsageError, InputError, DamageError, LimitError,
    WeightsError.
    """
    for option, value, allowed in (
        ("output", output, ("rgb", "float", "yuv")),
        ("on_damage", on_damage, ("raise", "conceal")),
    ):
        if value not in allowed:
            raise UsageError(
                f"{value!r} is unknown, allowed are {', '.join(allowed)}", option=option
            )
    if cache_bytes < 0:
        raise UsageError(
            f"{cache_bytes} is out of range, allowed are numbers from 0", option="cache_bytes"
        )
    options = DecodeOptions(device=device, batch=batch, limits=limits or Limits())
    return VideoReader(
        source,
        options,
        output,
        on_damage,
        cache_bytes,
        cast(str | None, weights),  # by its form
    )
