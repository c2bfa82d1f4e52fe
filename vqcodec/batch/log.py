"""The record of a batch: lines of JSON that say what was made of what, with which options. It is
what a later run goes by."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from ..system.lookup import look_up

DONE, BEGUN, FAILED = "done", "begun", "failed"


def stamp(path: str | os.PathLike[str]) -> list[int] | None:
    """Size and time of change of a file in ns, by which it is known again; None where there is
    none."""
    info = look_up(path)
    return None if info is None else [info.st_size, info.st_mtime_ns]


class BatchLog:
    """Lines of a batch's log: of each output the last one is known, and the last that it was done.
    Made by :func:`open_log`."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd, self._path = fd, path
        self._last: dict[str, dict[str, Any]] = {}
        self._done: dict[str, dict[str, Any]] = {}
        whole, foreign = True, False
        with os.fdopen(os.dup(fd), "rb") as file:
            file.seek(0)
            for line in file:
                whole = line.endswith(b"\n")
                try:
                    entry = json.loads(line)
                    if entry["state"] in (DONE, BEGUN, FAILED):
                        self._know(entry["output"], entry)
                except (
                    ValueError,
                    KeyError,
                    TypeError,
                    RecursionError,
                ):  # cut off by a power failure, or all of another kind
                    foreign |= whole
        if foreign and not self._last:
            raise UsageError("no log of a batch", file=path, advice="name another file with `log`")
        self._torn = not whole

    def _know(self, output: str, entry: dict[str, Any]) -> None:
        self._last[output] = entry
        if entry["state"] == DONE:
            self._done[output] = entry

    def last(self, output: str) -> dict[str, Any] | None:
        """What was last said of an output."""
        return self._last.get(output)

    def done(self, output: str) -> dict[str, Any] | None:
        """What was said of an output when it was last made; tries that came to nothing may have
        followed."""
        return self._done.get(output)

    def write(self, output: str, state: str, **values: Any) -> None:
        """Append a line; OutputError where it can't be written."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "output": output,
            "state": state,
        } | values
        data = b"\n" * self._torn + json.dumps(entry, allow_nan=False).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=self._path) from exc
        self._torn = False
        self._know(output, entry)


@contextmanager
def open_log(path: str | os.PathLike[str]) -> Iterator[BatchLog]:
    """The log at ``path``, gone on with where it is there. OutputError where it can't be written,
    or while another batch writes it."""
    path = Path(path)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as exc:
        raise OutputError(
            f"the log of the batch cannot be written: {exc.strerror or exc}", file=path
        ) from exc
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OutputError(
                "another batch is writing it",
                file=path,
                advice="wait for its end, or choose another `out` and `log`",
            ) from exc
        except OSError:  # a file system without locks
            pass
        yield BatchLog(fd, str(path))
    finally:
        os.close(fd)
