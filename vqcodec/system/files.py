"""Output files: checked before anything is loaded, written beside their final name, and renamed
only when complete."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import InputError, OutputError, UsageError, VqvError
from .lookup import look_up, same_file

_TEMPORARY = ".vqcodec-"
_umask = threading.Lock()  # it can be read only by setting it, for all threads


# what FFmpeg would open by such a name; with lavfi it makes pictures itself
_PROTOCOLS = re.compile(
    r"(async|bluray|cache|concat|concatf|crypto|data|dtls|fd|ftp|gophers?|hls|https?|httpproxy|icecast|"
    r"ipfs|ipns|lavfi|md5|mms[ht]?|pipe|rtm[pt]\w*|rtp|rtsps?|sctp|sftp|smb|srtp?|subfile|tcp|tee|tls|"
    r"udp|udplite|unix|zmq)(\+\w+)?[:,]"
)
_PATTERN = re.compile(r"%0?\d*d|\*\.")


def local(path: str) -> str:
    """The path of a file that is named as FFmpeg names it: ``file:in.mp4``."""
    plain = path.removeprefix("file:")
    return path if look_up(path) or not look_up(plain) else plain


def _nameless(path: str | os.PathLike[str]) -> bool:
    """Of an empty text Path makes ``.``, a folder that nobody named."""
    name = os.fspath(path)
    return not name or "\0" in name


def piped(source: str, lavfi: bool = False) -> str:
    """How pictures that only ffmpeg reads by itself are encoded."""
    read = f"ffmpeg -f lavfi -i {source}" if lavfi else f"ffmpeg -i {source}"
    return f"{read} -f yuv4mpegpipe - | vqcodec encode - out.vqv"


def _not_there(name: str) -> InputError:
    """What to say of an input that is no file: perhaps FFmpeg would make something of its name."""
    if "://" in name:
        return InputError("addresses are not read: fetch it, or pipe it into -", file=name)
    if found := _PROTOCOLS.match(name):
        way = found[1]
        if way == "lavfi":
            made = name.partition(":")[2]
            return InputError(
                "no file: pictures that FFmpeg makes itself come through a pipe: "
                + piped(made, lavfi=True),
                file=name,
            )
        lists = ""
        if way in ("concat", "concatf"):
            lists = (
                " (parts of a video may stand in a file, each in a line such as file 'part.mp4': "
                "`playlists` reads it)"
            )
        elif way == "hls":
            lists = " (of a playlist: `playlists` reads those of this machine)"
        return InputError(
            f"{way}: is a protocol of FFmpeg, and by those nothing is opened: name a file"
            f"{lists}, or pipe it: " + piped(f"'{name}'"),
            file=name,
        )
    if _PATTERN.search(Path(name).name):
        return InputError(f"pictures in a row come through a pipe: {piped(name)}", file=name)
    return InputError("no such file", file=Path(name))


def check_input(path: str | os.PathLike[str]) -> Path:
    """The path of a readable file; InputError otherwise."""
    file = Path(path)
    if _nameless(path):
        raise InputError(f"{os.fspath(path)!r}: no name for a file")
    try:
        if file.is_dir():
            raise InputError("is a directory: name a file", file=file)
        if file.is_fifo():  # to open it would wait for a writer, and take what it writes
            raise InputError("is a pipe, which can be read once only: name a file", file=file)
        with file.open("rb"):
            pass
    except FileNotFoundError as exc:
        raise _not_there(os.fspath(path)) from exc
    except (OSError, ValueError) as exc:
        raise InputError(
            f"cannot be read: {getattr(exc, 'strerror', None) or exc}", file=file
        ) from exc
    return file


def check_output(
    path: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]] = (),
    overwrite: bool = False,
) -> Path:
    """Refuse an output that cannot or must not be written; touches nothing.

    UsageError when it is one of the inputs; OutputError when it exists and ``overwrite`` is false,
    when it is a folder or a device, or when its folder is missing or not writable.
    """
    file = Path(path)
    if _nameless(path):
        raise OutputError(f"{os.fspath(path)!r}: no name for a file")
    try:
        exists = file.exists()
        for source in inputs:
            if same_file(file, source):
                raise UsageError("input and output are the same file", file=file)
        if file.is_dir():
            raise OutputError("is a directory: name a file in it", file=file)
        if exists and not file.is_file():
            raise OutputError("is no regular file", file=file)
        if exists and not overwrite:
            raise OutputError("exists already", file=file, advice="`overwrite=True` overwrites it")
        folder = output_folder(file)
        if not folder.is_dir():
            raise OutputError(f"there is no folder {folder}: make it first", file=file)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {folder} is not writable", file=file)
    except (OSError, ValueError) as exc:
        raise OutputError(f"{getattr(exc, 'strerror', None) or exc}", file=file) from exc
    return file


def output_target(path: str | os.PathLike[str]) -> Path:
    """The file that is written: a link is followed, so that the file it points to is replaced and
    the link stays."""
    file = Path(path)
    return file.resolve() if file.is_symlink() else file


def output_folder(path: str | os.PathLike[str]) -> Path:
    """The folder of that file."""
    return output_target(path).parent


def _sync(folder: Path) -> None:
    # some file systems refuse to open or sync a folder; the rename is done by then
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _lock(fd: int) -> bool:
    """Whether no other process has this very file open as its temporary one; a kill ends a lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def _locked(final: Path) -> tuple[int, Path]:
    """An empty temporary file beside an output, and the descriptor that holds its lock."""
    while True:
        fd, name = tempfile.mkstemp(prefix=_TEMPORARY, suffix=final.suffix, dir=final.parent)
        with suppress(OSError):  # a file system without locks
            if not _lock(fd) or not _same(fd, Path(name)):  # swept before it was locked
                os.close(fd)
                continue
        return fd, Path(name)


def _sweep(folder: Path) -> None:
    """Remove temporary files of this user that a killed process left behind."""
    with suppress(OSError):
        for path in folder.glob(_TEMPORARY + "*"):
            with suppress(OSError):
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    info = os.fstat(fd)
                    mine = stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid()
                    if mine and _lock(fd) and _same(fd, path):
                        path.unlink()
                finally:
                    os.close(fd)


@contextmanager
def atomic_path(
    path: str | os.PathLike[str], overwrite: bool = False, temporary: Path | None = None
) -> Iterator[Path]:
    """Give the path of an empty temporary file beside ``path`` with the same suffix; rename it over
    ``path`` on success.

    A process that is killed leaves it behind; the next one that writes into the folder removes it.
    A caller that nobody can disturb may say which file is the ``temporary`` one, to find it again
    after a kill. The temporary file is removed on any exception. OSError becomes OutputError with
    the path; other errors of ours that name the temporary file name ``path`` instead.
    """
    target = check_output(path, overwrite=overwrite)
    final = output_target(target)
    temp: Path | None = None
    held: int | None = None
    try:
        if temporary is None:
            _sweep(final.parent)
            held, temp = _locked(final)
        else:
            temp = temporary
            with suppress(FileNotFoundError):
                temp.unlink()
            os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield temp
        with _umask:
            umask = os.umask(0)
            os.umask(umask)
        temp.chmod(final.stat().st_mode & 0o777 if final.exists() else 0o666 & ~umask)
        with temp.open("rb") as f:
            os.fsync(f.fileno())
        if not overwrite:
            # made by someone else meanwhile: link() refuses where rename() would replace
            try:
                os.link(temp, final)
            except FileExistsError as exc:
                raise OutputError(
                    "exists already", file=target, advice="`overwrite=True` overwrites it"
                ) from exc
            except OSError:  # a file system without hard links
                temp.replace(final)
        else:
            temp.replace(final)
        _sync(final.parent)
    except VqvError as exc:
        if temp is not None and exc.place.file == str(temp):  # the caller's name is the other
            exc.place = replace(exc.place, file=str(target))
        raise
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror or exc}", file=target) from exc
    finally:
        if temp is not None:
            with suppress(FileNotFoundError):
                temp.unlink()
        if held is not None:
            os.close(held)


class _Guarded:
    """A file whose write errors are OutputErrors at once, so that they aren't mistaken for errors
    of the input."""

    def __init__(self, file: IO[bytes], path: str | os.PathLike[str]) -> None:
        self._file, self._path = file, path

    def write(self, data: bytes) -> int:
        with self._named():
            return self._file.write(data)

    def flush(self) -> None:
        with self._named():
            self._file.flush()

    def truncate(self, size: int) -> None:
        with self._named():
            self._file.truncate(size)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=self._path) from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def guarded(file: IO[bytes], path: str | os.PathLike[str]) -> BinaryIO:
    """The file, with OutputErrors that name ``path`` where it cannot be written."""
    return _Guarded(file, path)  # type: ignore[return-value]


@contextmanager
def atomic_output(
    path: str | os.PathLike[str], overwrite: bool = False, temporary: Path | None = None
) -> Iterator[BinaryIO]:
    """Like :func:`atomic_path`, giving the temporary file opened for writing."""
    with atomic_path(path, overwrite, temporary) as temp, temp.open("wb") as file:
        yield guarded(file, path)
        file.flush()
        os.fsync(file.fileno())
