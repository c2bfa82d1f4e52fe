"""Heads of the frames of a file, GOP by GOP: what is known of them without nets and pictures."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ..codec.codebooks import Codebooks
from ..codec.frame_head import FrameHead, HeadReader
from ..codec.gop_body import parse_body
from ..codec.gop_heads import read_heads
from ..codec.tokens import ShallowTokens, shallow_tokens
from ..codec.weights import default_path, load_books
from ..container.reader import ContainerReader
from ..errors import DamageError, DamageLog
from .timeline import Timeline

if TYPE_CHECKING:
    from ..codec.weights import StrPath

PlacedHead = tuple[FrameHead, tuple[int, ...]]  # with the references of its place


@lru_cache(maxsize=4)
def _books(path: str, changed: int) -> tuple[Codebooks, Codebooks]:
    intra, inter = load_books(path)
    return intra.hyper_alone(), inter.hyper_alone()


class FileHeads:
    """Reads heads of the frames of a file, and of no more GOPs than are asked for.

    Args:
        reader: the file.
        weights: a weights file, None for the default one; without ``known`` it isn't read.
        known: whether the file was made with these weights. If not, hyper-latents aren't read.
    """

    def __init__(
        self, reader: ContainerReader, weights: StrPath | None = None, known: bool = True
    ) -> None:
        self.reader = reader
        books = Codebooks.none(), Codebooks.none()
        if known:
            path = os.path.realpath(weights or default_path())
            books = _books(path, Path(path).stat().st_mtime_ns)
        self._heads = HeadReader(*books, reader.header.width, reader.header.height)

    def gop(self, number: int, wanted: Container[int] | None = None) -> Iterator[PlacedHead]:
        """The heads of a GOP in order of display, or of those of its frames that are ``wanted``.

        Raises DamageError where it cannot be read.
        """
        payload = self.reader.read_gop(number)
        body = parse_body(payload.body, len(payload.pts))
        return read_heads(self._heads, body, wanted)


def file_tokens(
    heads: FileHeads,
    timeline: Timeline,
    numbers: Iterable[int],
    max_level: int | None,
    damage: DamageLog | None,
) -> Iterator[ShallowTokens]:
    """Shallow tokens of frames in ascending order, without those of lost GOPs.

    max_level: leaves out frames of deeper levels; damage: notes GOPs that cannot be read, which
    raise without it.
    """
    reader = heads.reader
    for number, group in groupby(numbers, timeline.gop_of):
        if number in timeline.lost:
            continue
        first = reader.gops[number].first_frame
        wanted = {n - first for n in group}
        try:
            for head, refs in heads.gop(number, wanted):
                if max_level is None or head.level <= max_level:
                    seconds = float(timeline[number].pts[head.number] * reader.header.time_base)
                    yield shallow_tokens(head, refs, first, seconds)
        except DamageError as exc:
            timeline.lose(number, exc, damage)
