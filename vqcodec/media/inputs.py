"""The one door through which FFmpeg gets bytes from outside, and what it may do with them.

FFmpeg's demuxers are more than parsers: a playlist names other files and addresses, and FFmpeg reads them for
whoever opens it. So a demuxer gets bytes that were opened here, is one of a list, and may open nothing itself.
"""

from __future__ import annotations

import io
import os
from functools import cache
from types import TracebackType
from typing import Any

import av
import av.error
import av.logging
from av.format import Flags

from ..errors import InputError

# kinds of files that may hold the sample of a track, the one tried first that keeps more than others
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
# how such files begin, for a sentence; what they are opened by does not depend on it
_BEGIN = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a list of files to concatenate",
    b"# VobSub": "an index of subtitles (VobSub)",
}
_WITHIN = {b"<MPD": "a DASH manifest", b"CompositionPlaylist": "a playlist of IMF"}
_SESSION = b"v=0"
_BUFFER = 1 << 18  # bytes that FFmpeg asks for at a time: few calls from its threads
_DEMUXERS = {"ipod": "mp4"}  # of muxers that have another name: .m4v is written by ipod
_BOMB = b"cmov"  # of QuickTime's index in zlib
_SAMPLE_PIXELS = 16 << 20  # of a picture in a sample: FFmpeg decodes one to learn its format


def open_sample(kind: str, data: bytes) -> Any:
    """Open a sample; ValueError unless its kind is one of SAMPLE_FORMATS, FFmpegError where it is none."""
    if kind not in SAMPLE_FORMATS:
        raise ValueError(f"samples are of no kind {kind!r}")
    if kind in ("mp4", "mov") and _BOMB in data:
        raise ValueError("the index is compressed, to any size: no muxer writes it so")
    return open_written(kind, data)


def open_written(kind: str, data: bytes) -> Any:
    """Open what was written here just now, by FFmpeg's muxer ``kind`` or as one of its files."""
    demuxer = _DEMUXERS.get(kind, kind)
    options = _NOTHING | {"max_pixels": str(_SAMPLE_PIXELS)}
    return av.open(io.BytesIO(data), format=demuxer, options=options, metadata_errors="replace")


class Source:
    """A video file that is read by FFmpeg's demuxer ``container``; to be closed."""

    def __init__(self, container: Any, file: _File | None = None) -> None:
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


class _File:
    """What FFmpeg sees of a file: its bytes, and its name, whose suffix tells some kinds apart."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.name = path
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell
        self.seekable = self._file.seekable

    def close(self) -> None:
        self._file.close()


def open_source(path: str | os.PathLike[str], playlists: bool = False) -> Source:
    """Open a video file of any kind; InputError for those that name other files, unless ``playlists``.

    With ``playlists`` they may name files of this machine, and no addresses. FFmpegError, OSError or ValueError where
    FFmpeg cannot read it.
    """
    path = os.fspath(path)
    if playlists:
        options = {"protocol_whitelist": "file,crypto,data"}
        return Source(av.open("file:" + path, options=options, metadata_errors="replace"))
    file = _File(path)
    options = _NOTHING | {"format_whitelist": _self_contained()}
    try:
        container = av.open(file, options=options, metadata_errors="replace", buffer_size=_BUFFER)
        return Source(container, file)
    except BaseException as exc:
        file.close()
        if isinstance(exc, av.error.FFmpegError) and (why := _refused(path)):
            raise InputError(why) from exc
        raise


def reason(path: str | os.PathLike[str], exc: BaseException, playlists: bool = False) -> str:
    """Why FFmpeg cannot read a file: its own last words, which only its log has, or else the error.

    ``playlists`` as it was opened with: else the reason would be that of another refusal.
    """
    said: list[str] = []
    before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    try:
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        with av.logging.Capture() as lines, open_source(path, playlists):
            pass
    except Exception:
        said = [text.strip().rstrip(".") for _, _, text in lines if text.strip()]
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skips)
    if said and said[0].startswith("Format not on whitelist"):
        return "it is of a kind for which FFmpeg would open other files or devices"
    return said[0] if said else str(getattr(exc, "strerror", None) or exc)


def open_stream(file: Any, kind: str) -> Source:
    """Open what comes through a pipe by the demuxer ``kind``; errors as of :func:`open_source`."""
    return Source(av.open(file, format=kind, options=dict(_NOTHING)))


@cache
def _self_contained() -> str:
    """Names of all demuxers of this FFmpeg that need nothing but the bytes they are given."""
    names = []
    for name in sorted(av.formats_available):
        try:
            kind = av.ContainerFormat(name, "r")
        except ValueError:  # it writes only
            continue
        no_file: Any = Flags.no_file.value
        others = int(kind.flags) & no_file or _NAME_OTHERS & {name, *kind.name.split(",")}
        if not others:
            names.append(name)
    return ",".join(names)


def _refused(path: str) -> str | None:
    """Why a file is not read, if it is one that names others."""
    with open(path, "rb") as file:
        start = file.read(4096)
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(_SESSION):
        return "it describes a session on the network (SDP), which is never read"
    begins = (what for sign, what in _BEGIN.items() if start.startswith(sign))
    within = (what for sign, what in _WITHIN.items() if sign in start)
    what = next(begins, None) or next(within, None)
    if what is None:
        return None
    return f"it is {what}, which names other files: --allow-playlists reads those of this machine"
