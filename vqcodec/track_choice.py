"""Which tracks besides the pictures are kept, in the words of FFmpeg's -map."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from .errors import UsageError

_MAP = re.compile(r"(-?)(?:0(?::|$))?(?:([vastd])(?::(\d{1,4}))?|(\d{1,4}))?(\??)")
_LETTERS = {"v": "video", "a": "audio", "s": "subtitle", "d": "data", "t": "attachment"}


class _Map(NamedTuple):
    """What one map names; None stands for any."""

    text: str
    taken_away: bool
    kind: str | None
    position: int | None  # among its kind
    number: int | None  # in the file

    def names(self, kind: str, position: int, number: int) -> bool:
        return all(
            own is None or own == given
            for own, given in zip(self[2:], (kind, position, number), strict=True)
        )


@dataclass(frozen=True)
class TrackChoice:
    """Which tracks but the picture's are kept: all but those of the kinds ``without``, or what
    ``maps`` name as FFmpeg's -map does.

    A map is ``0`` (all), ``a`` (all of a kind: v a s d t), ``a:1`` (the second of a kind) or ``3``
    (by the number of the track in the file), each also with ``0:`` before it; with ``-`` before it
    that is taken away. UsageError for anything else.
    """

    without: frozenset[str] = frozenset()
    maps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kind = tuple if name == "maps" else frozenset
            if not isinstance(value, kind) or not all(isinstance(v, str) for v in value):
                allowed = f"a {kind.__name__} of texts"
                raise UsageError(f"{value!r} is none, allowed is {allowed}", option=name)
        for text in self.maps:
            self._parse(text)

    @staticmethod
    def _parse(text: str) -> _Map:
        match = _MAP.fullmatch(text) if text not in ("", "-") else None
        if match is None or text.lstrip("-").startswith("?"):
            raise UsageError(
                f"{text!r} is unknown, allowed are 0 (all), v, a, s, d or t (a kind), a:1 (the "
                "second of a kind) and 0:3 (a track), with - before it to leave out",
                option="tracks",
            )
        minus, letter, position, number, _ = match.groups()
        return _Map(
            text,
            bool(minus),
            _LETTERS[letter] if letter else None,
            int(position) if position else None,
            int(number) if number else None,
        )

    def matcher(self) -> Matcher:
        """What decides for the tracks of one file."""
        return Matcher(self)


class Matcher:
    """A choice at work on the tracks of one file, which it is asked for one by one."""

    def __init__(self, choice: TrackChoice) -> None:
        self._choice = choice
        self._maps = [choice._parse(text) for text in choice.maps]
        self._used: set[str] = set()

    def keeps(self, kind: str, position: int, number: int) -> bool:
        """Whether a track is kept: ``position`` among its kind and ``number`` in the file count
        from 0, the pictures' track too.
        """
        keep = all(named.taken_away for named in self._maps)
        for named in self._maps:
            if named.names(kind, position, number):
                keep = not named.taken_away
                self._used.add(named.text)
        return keep and kind not in self._choice.without

    def unused(self) -> list[str]:
        """Remarks on maps that take away a track that isn't there."""
        return self._unmatched(minus=True)

    def missing(self) -> list[str]:
        """Sentences on maps that ask for a track that isn't there, without a ``?``."""
        return self._unmatched(minus=False)

    def _unmatched(self, minus: bool) -> list[str]:
        own = ("v", "v:0", "0")  # the picture's
        return [
            f"`tracks={named.text}`: there is no such track"
            for named in self._maps
            if named.taken_away == minus
            and named.text not in self._used
            and not named.text.endswith("?")
            and named.text.removeprefix("0:") not in own
        ]

    def check(self, name: str) -> None:
        """UsageError where a map asks for a track that ``name`` doesn't have."""
        if missing := self.missing():
            raise UsageError(missing[0], file=name, advice="with ? behind it that is allowed")
