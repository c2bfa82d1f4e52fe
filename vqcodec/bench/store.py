"""Finished measurements, a line of JSON for each, written when it is made: what a later run finds
there it doesn't measure again."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError


def default_folder() -> Path:
    """``vqcodec`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vqcodec" / "bench"


def key_of(**what: Any) -> str:
    """A name for all that a measurement depends on."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


class Store:
    """Records and pictures in ``folder``, by their keys. OutputError where nothing can be written
    there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "points.jsonl"
        self._records: dict[str, dict[str, Any]] = {}
        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            lines = self._file.read_text().splitlines() if self._file.exists() else []
        except OSError as exc:
            raise OutputError(f"no folder for a cache: {exc.strerror or exc}", file=folder) from exc
        for line in lines:
            try:
                record = json.loads(line)
                self._records[record["key"]] = record
            except (ValueError, KeyError, TypeError):
                continue  # a line that a kill cut off

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of that key, if its picture is there too."""
        record = self._records.get(key)
        return record if record is not None and self.picture_path(key).is_file() else None

    def picture_path(self, key: str) -> Path:
        """The picture that belongs to a record, lossless WebP."""
        return self.folder / "pictures" / f"{key}.webp"

    def put(self, record: dict[str, Any], picture: np.ndarray) -> None:
        """Keep a record and its picture (H, W, 3; uint8, BGR)."""
        self.put_picture(record["key"], picture)
        line = json.dumps(record, allow_nan=False) + "\n"
        try:
            with self._file.open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = "\n" + line  # behind a line that was cut off
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=self._file) from exc
        self._records[record["key"]] = record

    def put_picture(self, key: str, picture: np.ndarray) -> None:
        """Keep a picture (H, W, 3; uint8, BGR)."""
        from PIL import Image

        data = io.BytesIO()
        Image.fromarray(picture[:, :, ::-1]).save(data, "webp", lossless=True)
        path = self.picture_path(key)
        try:
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(data.getvalue())
            temporary.replace(path)
        except OSError as exc:
            raise OutputError(f"cannot be written: {exc.strerror or exc}", file=path) from exc
