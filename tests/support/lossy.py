"""The program with a stand-in of the networks that loses more at a higher crf, in a process of its
own: ``python lossy.py encode ...``."""

from __future__ import annotations

import sys
from typing import Any

from support import fakes
from vqcodec.cli import main
from vqcodec.picture import Picture


class Lossy(fakes.GopEncoder):
    """Keeps samples in steps of 8 (2 of the 8-bit scale) and more."""

    def __init__(self, codec: Any, width: int, height: int, crf: float, *rest: Any) -> None:
        super().__init__(codec, width, height, crf, *rest)
        self._step = 8 + round(2 * crf)

    def add(self, pictures: list[Picture]) -> None:
        super().add(
            [
                Picture(*((p + self._step // 2) // self._step * self._step for p in picture.to10()))
                for picture in pictures
            ]
        )


if __name__ == "__main__":
    fakes.install(fakes.Lasting())
    vars(sys.modules["vqcodec.encoding.gop_encoder"])["GopEncoder"] = Lossy
    sys.exit(main())
