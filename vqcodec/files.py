"""Output files: checked before anything is loaded, written beside their final name, and renamed only when complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from .errors import InputError, OutputError, UsageError


def check_input(path: str | os.PathLike[str]) -> Path:
    """The path of a readable file; InputError otherwise."""
    p = Path(path)
    try:
        if p.is_dir():
            raise InputError(f"{p}: is a directory")
        with p.open("rb"):
            pass
    except FileNotFoundError as exc:
        raise InputError(f"{p}: no such file") from exc
    except (OSError, ValueError) as exc:
        raise InputError(f"{p}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    return p


def check_output(path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str]] = (), overwrite: bool = False) -> Path:
    """Refuse an output that cannot or must not be written; touches nothing.

    UsageError when it is one of the inputs; OutputError when it exists and ``overwrite`` is false, when it is a folder
    or a device, or when its folder is missing or not writable.
    """
    p = Path(path)
    if "\0" in str(p):
        raise OutputError(f"{str(p)!r}: no name for a file")
    try:
        exists = p.exists()
        for source in inputs:
            if exists and os.path.exists(source) and os.path.samefile(p, source):
                raise UsageError(f"{p}: input and output are the same file")
        if p.is_dir():
            raise OutputError(f"{p}: is a directory")
        if exists and not p.is_file():
            raise OutputError(f"{p}: is no regular file")
        if exists and not overwrite:
            raise OutputError(f"{p}: exists already (-y overwrites it)")
        folder = _folder(p)
        if not folder.is_dir():
            raise OutputError(f"{p}: there is no folder {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{p}: the folder {folder} is not writable")
    except (OSError, ValueError) as exc:
        raise OutputError(f"{p}: {getattr(exc, 'strerror', None) or exc}") from exc
    return p


def _folder(path: Path) -> Path:
    # a link is followed, so that the file it points to is replaced and the link stays
    return path.resolve().parent if path.is_symlink() else path.parent


def _sync(folder: Path) -> None:
    # some file systems refuse to open or sync a folder; the rename is done by then
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def atomic_path(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Give the path of an empty temporary file beside ``path`` with the same suffix; rename it over ``path`` on success.

    The temporary file is removed on any exception. OSError becomes OutputError with the path.
    """
    target = check_output(path, overwrite=overwrite)
    final = target.resolve() if target.is_symlink() else target
    temp: Path | None = None
    try:
        fd, name = tempfile.mkstemp(prefix=".vqcodec-", suffix=final.suffix, dir=_folder(target))
        temp = Path(name)
        os.close(fd)
        yield temp
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temp, final.stat().st_mode & 0o777 if final.exists() else 0o666 & ~umask)
        with temp.open("rb") as f:
            os.fsync(f.fileno())
        if not overwrite:
            # made by someone else meanwhile: link() refuses where rename() would replace
            try:
                os.link(temp, final)
            except FileExistsError as exc:
                raise OutputError(f"{target}: exists already (-y overwrites it)") from exc
            except OSError:  # a file system without hard links
                os.replace(temp, final)
        else:
            os.replace(temp, final)
        _sync(final.parent)
    except OSError as exc:
        raise OutputError(f"{target}: cannot be written: {exc.strerror or exc}") from exc
    finally:
        if temp is not None:
            with suppress(FileNotFoundError):
                temp.unlink()


class _Guarded:
    """A file whose write errors are OutputErrors at once, so that they aren't mistaken for errors of the input."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as exc:
            raise OutputError(f"{self._path}: cannot be written: {exc.strerror or exc}") from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def atomic_output(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[BinaryIO]:
    """Like :func:`atomic_path`, giving the temporary file opened for writing."""
    with atomic_path(path, overwrite) as temp, temp.open("wb") as file:
        yield _Guarded(file, Path(path))  # type: ignore[misc]
        file.flush()
        os.fsync(file.fileno())
