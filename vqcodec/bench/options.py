"""Options of a benchmark, checked on construction."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ..encoding.rate_distortion import DEFAULT_PRESET
from ..errors import InputError, UsageError
from ..options import DecodeOptions, EncodeOptions
from ..system.files import check_input
from ..system.suffixes import VIDEO
from .anchors import Anchor, parse_anchor

CRFS = (14, 24, 34, 44)
MIN_CRFS = 2  # fewer points are no curve


@dataclass(frozen=True)
class BenchOptions:
    """Options of a benchmark; UsageError with the allowed values when one is out of range."""

    anchors: tuple[Anchor, ...] = ()
    crfs: tuple[int, ...] = CRFS
    frames: int = 0  # of each clip, from its beginning; 0 for all
    preset: str = DEFAULT_PRESET
    threads: int = 0  # of every encoder and decoder; 0: what each chooses itself
    device: str = "auto"
    weights: str | None = None
    fresh: bool = False  # measure again what is in the cache
    program: tuple[str, ...] = field(default=(sys.executable, "-m", "vqcodec"))

    def __post_init__(self) -> None:
        for crf in self.crfs:
            EncodeOptions(crf=crf, preset=self.preset, threads=self.threads, device=self.device)
        DecodeOptions(threads=self.threads, device=self.device)
        if len(set(self.crfs)) < MIN_CRFS or len(set(self.crfs)) < len(self.crfs):
            raise UsageError(
                f"{len(set(self.crfs))} different values, at least {MIN_CRFS} make a curve, and "
                "none may be given twice",
                option="crfs",
            )
        if self.frames < 0:
            raise UsageError(
                f"{self.frames} is out of range, allowed are 0 (all) and more",
                option="bench.frames",
            )
        names = [a.name for a in self.anchors]
        if len(set(names)) < len(names):
            raise UsageError(f"{', '.join(names)}: one is there twice", option="anchors")


def parse_anchors(text: str) -> tuple[Anchor, ...]:
    """``x264,x265:slow,svtav1:4``: encoders with their presets; ``none`` for no anchor."""
    return (
        ()
        if text.strip() == "none"
        else tuple(parse_anchor(part.strip()) for part in text.split(","))
    )


def parse_crfs(text: str) -> tuple[int, ...]:
    """``14,24,34,44``, in rising order."""
    if not re.fullmatch(r"\s*\d{1,3}(\s*,\s*\d{1,3})*\s*", text, re.ASCII):
        raise UsageError(
            f"{text!r} are no numbers, allowed are some from 0 (best) to 63 (smallest): "
            "14,24,34,44",
            option="crfs",
        )
    return tuple(sorted(int(part) for part in text.split(",")))


def find_clips(paths: tuple[str, ...]) -> list[Path]:
    """The videos that files and folders (not the folders in them) name, each once; InputError where
    there is none."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO and p.is_file())
            if not inside:
                raise InputError("no video in this folder", file=path)
            found += inside
        else:
            found.append(check_input(path))
    return list(dict.fromkeys(found))
