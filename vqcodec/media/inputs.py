"""The one door through which FFmpeg gets bytes from outside, and what it may do with them.

FFmpeg's demuxers are more than parsers: a playlist names other files and addresses, and FFmpeg
reads them for whoever opens it. So a demuxer gets bytes that were opened here, is one of a list,
and may open nothing itself.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from errno import EINVAL
from functools import cache
from pathlib import Path, PurePath
from types import TracebackType
from typing import cast

import av
import av.error
import av.logging
from av.container import InputContainer
from av.format import Flags

from ..errors import InputError
from ..system.files import piped
from ..system.lookup import look_up
from ..system.stdio import CountedPipe

# kinds of files that may hold the sample of a track, the one tried first that keeps more than
# others
SAMPLE_FORMATS = ("matroska", "nut", "mp4", "mov", "mpegts")
# nothing may be opened by name: no file, no address
_NOTHING = {"protocol_whitelist": ""}
# demuxers that open what a file names, or run it as a script; those of devices are known by a flag
_NAME_OTHERS = {
    "applehttp",
    "avisynth",
    "concat",
    "dash",
    "dvdvideo",
    "hls",
    "imf",
    "sdp",
    "vapoursynth",
    "vobsub",
    "webm_dash_manifest",
}
# how playlists begin that FFmpeg reads, for a sentence; what they are opened by does not depend on
# it
_BEGIN = {
    b"#extm3u": "an HLS playlist",
    b"ffconcat": "a list of files to concatenate",
    b"# vobsub": "an index of subtitles (VobSub)",
}
_WITHIN = {b"<mpd": "a DASH manifest", b"compositionplaylist": "a playlist of IMF"}
# playlists of players, which FFmpeg does not read, and suffixes of such texts
_OF_PLAYERS = (b"[playlist]", b"[reference]", b"<asx", b"<?wpl", b"<smil", b"xspf.org", b"rtsptext")
_PLAYERS_SUFFIXES = frozenset(
    ".asx .b4s .cue .edl .m3u .m3u8 .pls .ram .smil .strm .wax .wpl .wvx .xspf".split()
)
_SESSION = b"v=0"
_OPENING = re.compile(r"Opening '(.*)' for reading")
_PROTOCOL = re.compile(r"Protocol '(\w+)' not on whitelist")
_SEGMENT = re.compile(r"URL (\S+) is not in allowed_(segment_)?extensions")
_BUFFER = 1 << 18  # bytes that FFmpeg asks for at a time: few calls from its threads
_DEMUXERS = {"ipod": "mp4"}  # of muxers that have another name: .m4v is written by ipod
_BOMB = b"cmov"  # of QuickTime's index in zlib
_SAMPLE_PIXELS = 16 << 20  # of a picture in a sample: FFmpeg decodes one to learn its format


def open_sample(kind: str, data: bytes) -> InputContainer:
    """Open a sample of a track.

    ValueError unless its kind is one of SAMPLE_FORMATS, FFmpegError where it is none.
    """
    if kind not in SAMPLE_FORMATS:
        raise ValueError(f"samples are of no kind {kind!r}")
    if kind in ("mp4", "mov") and _BOMB in data:
        raise ValueError("the index is compressed, to any size: no muxer writes it so")
    return open_written(kind, data)


def open_written(kind: str, data: bytes) -> InputContainer:
    """Open what was written here just now, by FFmpeg's muxer ``kind`` or as one of its files."""
    demuxer = _DEMUXERS.get(kind, kind)
    options = _NOTHING | {"max_pixels": str(_SAMPLE_PIXELS)}
    return av.open(
        io.BytesIO(data), "r", format=demuxer, options=options, metadata_errors="replace"
    )


class Source:
    """A video file that is read by FFmpeg's demuxer ``container``; to be closed."""

    def __init__(self, container: InputContainer, file: _File | None = None) -> None:
        self.container, self._file = container, file

    def close(self) -> None:
        """Release container and file; repeated calls do nothing."""
        self.container.close()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


def _is_picture(path: str) -> bool:
    """Whether a file is called a single picture."""
    return PurePath(path).suffix[1:].lower() in av.ContainerFormat("image2", "w").extensions


class _File:
    """What FFmpeg sees of a file: its bytes, and its name, whose suffix tells some kinds apart.

    Not of single pictures: by that it would take its demuxer for rows of them, which opens files.
    """

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115
        self.name = PurePath(path).stem if _is_picture(path) else path
        self.read, self.tell = self._file.read, self._file.tell
        self.seekable = self._file.seekable

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file, but that FFmpeg is told, as an error of its own, where there is no such
        place: of damaged files it tries places before their begin, and goes on."""
        try:
            return self._file.seek(offset, whence)
        except OSError as exc:
            if exc.errno != EINVAL:
                raise
            return -EINVAL

    def close(self) -> None:
        self._file.close()


def open_source(path: str | os.PathLike[str], playlists: bool = False) -> Source:
    """Open a video file of any kind.

    InputError for those that name other files, unless ``playlists``.

    With ``playlists`` they may name files of this machine, and no addresses. FFmpegError, OSError
    or ValueError where FFmpeg cannot read it.
    """
    path = os.fspath(path)
    if playlists:
        options = {"protocol_whitelist": "file,crypto,data"}
        return Source(av.open("file:" + path, "r", options=options, metadata_errors="replace"))
    file = _File(path)
    options = _NOTHING | {"format_whitelist": _self_contained()}
    try:
        container = av.open(
            file, "r", options=options, metadata_errors="replace", buffer_size=_BUFFER
        )
        return Source(container, file)
    except BaseException as exc:
        file.close()
        if isinstance(exc, av.error.FFmpegError) and (why := playlist_refused(path)):
            raise InputError(why) from exc
        raise


def reason(path: str | os.PathLike[str], exc: BaseException, playlists: bool = False) -> str:
    """Why FFmpeg cannot read a file: its own words, which only its log has, or else the error.

    ``playlists`` as it was opened with: else the reason would be that of another refusal.
    """
    lines: list[tuple[int, str, str]] = []
    before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    try:
        av.logging.set_level(av.logging.INFO)
        av.logging.set_skip_repeated(False)
        with av.logging.Capture() as lines, open_source(path, playlists):
            pass
    except Exception as again:
        exc = again
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skips)
    if playlists and (why := _of_named(path, [text for _, _, text in lines])):
        return why
    if isinstance(exc, av.error.InvalidDataError) and _is_picture(os.fspath(path)):
        return (
            "it does not begin as pictures do; those that FFmpeg knows by their names alone come "
            f"through a pipe: {piped(shlex.quote(str(path)))}"
        )
    said = [t.strip().rstrip(".") for level, _, t in lines if level <= av.logging.ERROR]
    said = [text for text in said if text]
    if said and said[0].startswith("Format not on whitelist"):
        return "it is of a kind for which FFmpeg would open other files or devices"
    return said[0] if said else str(getattr(exc, "strerror", None) or exc)


def _of_named(path: str | os.PathLike[str], said: list[str]) -> str | None:
    """Why a playlist is not read, if that is for what it names.

    Whatever becomes of that, a demuxer complains only of the empty file that it sees in its place.
    """
    opened = ""
    for text in said:
        if _PROTOCOL.search(text):
            return f"{text.strip().rstrip('.!')}: addresses are never opened"
        if found := _SEGMENT.search(text):
            return f"it names {found[1]}, whose suffix is none of a piece of a video"
        if found := _OPENING.search(text):
            opened = found[1].removeprefix("file:")
            opened = opened.removeprefix("//") if opened.startswith("///") else opened
    if opened and opened != os.fspath(path) and look_up(opened) is None:
        return f"it names {opened}, and there is no such file"
    return None


def open_stream(file: CountedPipe, kind: str) -> Source:
    """Open what comes through a pipe by the demuxer ``kind``; errors as of :func:`open_source`."""
    return Source(av.open(file, "r", format=kind, options=dict(_NOTHING)))


@cache
def _self_contained() -> str:
    """Names of all demuxers of this FFmpeg that need nothing but the bytes they are given."""
    names = []
    for name in sorted(av.formats_available):
        try:
            kind = av.ContainerFormat(name, "r")
        except ValueError:  # it writes only
            continue
        others = kind.flags & cast("int", Flags.no_file.value) or _NAME_OTHERS & {
            name,
            *kind.name.split(","),
        }
        if not others:
            names.append(name)
    return ",".join(names)


def playlist_refused(path: str | os.PathLike[str]) -> str | None:
    """Why a file is not read, if it is one that names others; what helps is in the sentence."""
    with Path(path).open("rb") as file:
        start = file.read(4096)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_SESSION):
        return "it describes a session on the network (SDP), which is never read"
    begins = (what for sign, what in _BEGIN.items() if text.startswith(sign))
    within = (what for sign, what in _WITHIN.items() if sign in text)
    what = next(begins, None) or next(within, None)
    if what is not None:
        return f"it is {what}, which names other files: `playlists` reads those of this machine"
    named = PurePath(path).suffix.lower() in _PLAYERS_SUFFIXES and b"\0" not in start
    if named or any(sign in text[:1024] for sign in _OF_PLAYERS):
        return (
            "it is a playlist of players, which names other files and is never read: "
            "name the video itself"
        )
    return None
