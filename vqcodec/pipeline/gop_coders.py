"""What codes GOPs: the protocol, and the coder within this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..container.packets import version_name
from ..picture import Picture
from ..version import __version__

if TYPE_CHECKING:
    from ..codec.bit_statistics import FrameStatistics
    from ..encoding.gop_encoder import GopEncoder
    from ..encoding.model import EncoderModel
    from ..encoding.rate_distortion import RateParameters

TRIES = 3  # workers that may die on one GOP
# whose GOPs may stand together in a file: of the same program, and draft of the format
PROGRAM = f"{__version__}, format {version_name()}"


class Result(NamedTuple):
    """A finished GOP, as :class:`vqcodec.encoding.gop_encoder.GopResult`, without what coding needs
    in memory."""

    body: bytes
    frames: int
    checksum: int
    sse: tuple[float, float, float]
    stats: list[FrameStatistics]


@dataclass(frozen=True)
class Model:
    """What a coder loads and codes with."""

    weights: str | None
    device: str
    threads: int
    width: int
    height: int
    preset: str | RateParameters = "medium"  # as EncodeOptions
    stats: bool = False  # of each frame in the result
    arithmetic: str = "auto"  # of the encoder's nets; chosen once for all coders of a file

    def load(self) -> EncoderModel:
        """The nets, on their device."""
        from ..encoding.model import load_model

        return load_model(self.weights, self.device, self.threads, self.arithmetic)

    def encoder(self, codec: EncoderModel, crf: float) -> GopEncoder:
        """What codes one GOP at this crf."""
        from ..encoding.gop_encoder import GopEncoder
        from ..encoding.rate_distortion import rate_parameters

        rate = rate_parameters(self.preset)
        return GopEncoder(codec, self.width, self.height, crf, rate, self.stats)


def finish_gop(encoder: GopEncoder, cut: bool = False) -> Result:
    """End the GOP; with ``cut`` as it is, without the pictures that are not coded yet."""
    done = encoder.finish(cut)
    return Result(done.body, done.frames, done.checksum, done.sse, done.stats)


def nothing_to_tell() -> None:
    """What a coder calls that nobody listens to."""


def code_gop(encoder: GopEncoder, parts: Iterable[list[Picture]]) -> Result:
    """Code a whole GOP, given as its mini-GOPs; one without pictures cuts it."""
    cut = False
    for pictures in parts:
        cut = not pictures
        if pictures:
            encoder.add(pictures)
    return finish_gop(encoder, cut)


class News(NamedTuple):
    """What a worker process says while it codes a GOP: frames done, or that it compiles kernels."""

    frames: int = 0
    compiling: bool = False


class Coder(Protocol):
    """What GOPs are given to: this process, processes of this machine, or those of a cluster
    (:class:`vqcodec.pipeline.cluster.ClusterCoder`).

    ``tell`` is called, by this process alone, when ``pending`` has changed."""

    tell: Callable[[], object]

    @property
    def pending(self) -> int:
        """Frames coded of unfinished GOPs."""

    def ready(self, timeout: float) -> bool:
        """Whether a new GOP may begin; waits for it at most ``timeout`` seconds."""

    def begin(self, key: int, crf: float) -> None:
        """A new GOP, called ``key``, which may begin only when the coder is ready."""

    def add(self, key: int, pictures: list[Picture], ends: bool) -> None:
        """The next mini-GOP of the GOP ``key``; with ``ends`` its last.

        An end without pictures cuts the GOP: those that only the look-ahead has seen are left out.
        """

    def finished(self, timeout: float = 0.0) -> Iterator[tuple[int, Result]]:
        """Keys and results of GOPs that were finished since the last call; waits for one if a
        timeout is given."""

    def coded(self, key: int) -> int:
        """Frames taken of a GOP that is begun and not finished."""

    def cut(self, key: int) -> Result | None:
        """End a GOP with the pictures coded so far; its result, None where there are none."""

    def close(self) -> None:
        """Stop; repeated calls do nothing."""


class LocalCoder:
    """Codes in this process: :meth:`add` returns when no more than the look-ahead, and with several
    threads a mini-GOP that is being coded meanwhile, is left to code.

    The rest of a GOP is coded by :meth:`finished`, a mini-GOP in each call: who waits for it can
    look at other things meanwhile."""

    def __init__(self, model: Model, codec: EncoderModel) -> None:
        self._model, self._codec = model, codec
        self._key = -1  # of the GOP that is begun
        self._encoder: GopEncoder | None = None
        self._ending = self._cutting = False  # all of its pictures are there; nothing is left to do
        self._taken = 0
        self.pending = 0  # frames coded of unfinished GOPs
        self.tell: Callable[[], object] = nothing_to_tell

    def _count(self, frames: int) -> None:
        self.pending = frames
        self.tell()

    def ready(self, timeout: float) -> bool:
        """Whether a new GOP may begin: the one before is done."""
        return self._encoder is None

    def begin(self, key: int, crf: float) -> None:
        """A new GOP, called ``key``."""
        encoder = self._model.encoder(self._codec, crf)
        encoder.tell = self._count
        self._key, self._encoder = key, encoder

    def add(self, key: int, pictures: list[Picture], ends: bool) -> None:
        """The next mini-GOP of the GOP ``key``; with ``ends`` its last, or without one a cut."""
        assert self._encoder is not None
        if pictures:
            self._encoder.add(pictures)
        self._taken += len(pictures)
        self._ending, self._cutting = ends, not pictures

    def _finish(self, cut: bool = False) -> Result:
        assert self._encoder is not None
        result = finish_gop(self._encoder, cut)
        self._encoder, self._ending, self.pending, self._taken = None, False, 0, 0
        return result

    def finished(self, timeout: float = 0.0) -> Iterator[tuple[int, Result]]:
        """Key and result of the GOP, should it be finished by now."""
        if self._encoder is None or not self._ending:
            return
        if self._cutting or not self._encoder.step():
            yield self._key, self._finish(self._cutting)

    def coded(self, key: int) -> int:
        """Frames taken of a GOP that is begun and not finished: an encoder holds the last ones back
        until it sees what follows."""
        return self._taken if self._encoder is not None and key == self._key else 0

    def cut(self, key: int) -> Result | None:
        """End a GOP with the pictures coded so far; its result, None where there are none."""
        return self._finish(cut=True) if self.coded(key) else None

    def close(self) -> None:
        """Stop what is being coded; repeated calls do nothing."""
        if self._encoder is not None:
            self._encoder.close()
