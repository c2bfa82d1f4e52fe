"""Encodes that are killed after some GOPs."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqcodec.options import EncodeOptions
from vqcodec.pipeline import journal, journal_name
from vqcodec.pipeline.encode import encode

FRAMES, GOP = 60, 7


OPTIONS = EncodeOptions(gop=GOP, resume=True)


class Killed(BaseException):
    """Stands for the end of the process: nothing is cleaned up."""


def cut_off(clip: Path, out: Path, gops: int, options: EncodeOptions = OPTIONS) -> Path:
    """Leave what an encode leaves that was killed after so many GOPs; the path of its journal."""
    with pytest.MonkeyPatch.context() as patch:
        add = journal.Journal.add

        def killing(self: journal.Journal, *args: object) -> None:
            if len(self) == gops:
                raise Killed
            add(self, *args)  # type: ignore[arg-type]

        patch.setattr(journal.Journal, "add", killing)
        patch.setattr(journal, "_discard", lambda path: None)
        with pytest.raises(Killed):
            encode(str(clip), str(out), options, overwrite=True)
    (path,) = journal_name.journals(out).values()
    return path
