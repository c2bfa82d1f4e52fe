"""What is coded of a .vqv file: its frames as tokens, motion and shots."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from .. import values
from ..analysis.shot import THRESHOLD
from ..container.byte_source import Source
from ..errors import DamageError, UsageError, located
from ..system.surroundings import undisturbed
from .forks import ForkLock
from .open_file import CONCEAL, Manner, OpenFile, open_file

if TYPE_CHECKING:
    from ..analysis.shot import Embedding, Shot
    from ..codec.motion import Motion
    from ..codec.tokens import FrameTokens, ShallowTokens, Vocabulary
    from .file_analysis import Analysis
    from .file_heads import FileHeads
    from .looks import Looks
    from .random_access import RandomAccess


class CodedReader:
    """A file that is open, and what is coded of its frames; VideoReader makes pictures too."""

    def __init__(self, file: OpenFile, manner: Manner, close: Callable[[], None]) -> None:
        self.path, self.metadata, self.damage = file.path, file.metadata, file.damage
        self._source, self._container, self._timeline = file.source, file.container, file.timeline
        self._manner = manner
        self._lock = ForkLock(self._forget)
        self._closed = False
        self._made: RandomAccess | None = None
        self._heads: FileHeads | None = None
        self._found: Analysis | None = None
        self._seen: Looks | None = None
        # a reader that nobody closes does it when it is gone
        self._close_file = weakref.finalize(self, close)

    @classmethod
    def open(cls, source: Source, manner: Manner) -> Self:
        """The reader of a source; :func:`vqcodec.open` checks what is given and calls this."""
        with ExitStack() as stack:
            file = open_file(stack, source, manner)
            return cls(file, manner, stack.pop_all().close)

    def _forget(self) -> None:
        """Give up what runs the nets: a forked process makes its own."""
        self._made = self._seen = None

    # -- opening and closing

    def close(self) -> None:
        """Close the file and free what was decoded; repeated calls do nothing, all others raise
        UsageError from then on.
        """
        with self._lock:
            self._close_file()
            self._closed = True
            self._made = self._seen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).open, (self._source, self._manner)

    def __len__(self) -> int:
        return self._container.frames

    @property
    def gop_starts(self) -> list[int]:
        """Numbers of the I frames, which need no other frame."""
        return [e.first_frame for e in self._container.gops]

    # -- tokens

    @overload
    def tokens(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        max_level: int | None = None,
        shallow: Literal[False] = False,
    ) -> list[FrameTokens]: ...
    @overload
    def tokens(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        max_level: int | None = None,
        shallow: Literal[True],
    ) -> list[ShallowTokens]: ...
    @overload
    def tokens(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        max_level: int | None = None,
        shallow: bool,
    ) -> Sequence[ShallowTokens]: ...
    def tokens(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        max_level: int | None = None,
        shallow: bool = False,
    ) -> Sequence[ShallowTokens]:
        """What is coded of frames ``start`` to ``stop`` - 1 (bounds as in a slice): codebook
        indices, classes, motion; see FrameTokens.

        With ``shallow`` the heads of the frames alone, see ShallowTokens: thousands of frames a
        second, since no net runs, no picture is made, and what lies behind the heads is not read.

        ``max_level`` leaves out B frames of deeper levels: 0 for I frames alone, 1 for all key
        frames, 2 for the first B frame between them too. Entropy decoding runs the prior net, and
        motion compensation for P and B frames; so the synthesis net runs too, but for no frame that
        none of those asked for refers to. Lost frames are left out where they would be concealed.
        """
        if max_level is not None:
            max_level = values.index(max_level, "max_level")
        shallow = values.flag(shallow, "shallow")
        with self._open():
            numbers = self._range(start, stop)
            if not shallow:
                return list(self._access.tokens(numbers, max_level))
            return list(self._shallow(numbers, max_level))

    def motion(self, start: int = 0, stop: int | None = None) -> list[Motion]:
        """How things move in frames ``start`` to ``stop`` - 1 (bounds as in a slice), as it is
        coded, which needs neither nets nor pictures; see Motion.
        """
        from ..codec.motion import motion_of

        with self._open():
            return [motion_of(t) for t in self._shallow(self._range(start, stop), None)]

    def shots(self, *, threshold: float = THRESHOLD, min_seconds: float = 0.0) -> list[Shot]:
        """The shots of the whole video, found by how it is coded, at thousands of frames a second;
        see Shot. Of what looks like a gradual change three pictures are decoded.

        ``threshold``, 0 to 1, is how certain a change of shots must be; of two changes nearer than
        ``min_seconds`` the less certain one is left out. Lost frames, where they would be
        concealed, belong to no shot.
        """
        threshold = values.seconds(threshold, "threshold")
        min_seconds = values.seconds(min_seconds, "min_seconds")
        if not 0 <= threshold <= 1:
            raise UsageError(f"{threshold} is out of range, allowed are 0 to 1", option="threshold")
        return self._analysis().shots(threshold, min_seconds)

    def embedding(self, start: int = 0, stop: int | None = None) -> Embedding:
        """64 numbers of frames ``start`` to ``stop`` - 1 (bounds as in a slice), which are near
        those of stretches that are alike; see Embedding.

        For what is shown a picture of each shot and GOP of the stretch is decoded once, its I frame
        where it has one. Lost frames, where they would be concealed, add nothing.
        """
        from .looks import Looks

        found = self._analysis()
        with self._open():
            numbers = self._range(start, stop)
            if self._seen is None:
                self._seen = Looks(found, self.gop_starts, self._access)
            return self._seen.embedding(numbers.start, numbers.stop)

    def _analysis(self) -> Analysis:
        with self._open():
            if self._found is None:
                from .file_analysis import analyse_file

                found = analyse_file(self._container, self._manner.weights)
                if found.damage and not self._manner.conceal:
                    raise DamageError(found.damage[0])
                self._found = found
            return self._found

    def _shallow(self, numbers: range, max_level: int | None) -> Iterator[ShallowTokens]:
        from .file_heads import FileHeads, file_tokens

        if self._heads is None:
            self._heads = FileHeads(self._container, self._manner.weights)
        damage = self.damage if self._manner.conceal else None
        return file_tokens(self._heads, self._timeline, numbers, max_level, damage)

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
                    if not self._manner.conceal:
                        exc.advice = exc.advice or CONCEAL
                    raise

    @property
    def _access(self) -> RandomAccess:
        """What runs the nets; made when a picture or its tokens are first asked for."""
        if self._made is None:
            from .random_access import RandomAccess

            self._made = RandomAccess(
                self._container,
                self._timeline,
                self._manner.options,
                self._manner.cache_bytes,
                self._manner.weights,
                self.damage if self._manner.conceal else None,
            )
        return self._made

    def _range(self, start: int | None, stop: int | None, step: int | None = None) -> range:
        """Frames of a slice with these bounds."""
        bounds = {"start": start, "stop": stop, "step": step}
        for bound, value in bounds.items():
            bounds[bound] = None if value is None else values.index(value, bound)
        if step == 0:
            raise UsageError("0 is out of range, allowed are all other numbers", option="step")
        return range(*slice(*bounds.values()).indices(len(self)))
