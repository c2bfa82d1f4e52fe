"""Points of one clip: measured, or taken from the cache."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from .. import __version__
from ..codec.weights import read_metadata
from ..media.source import VideoSource
from . import vmaf
from .anchors import Anchor
from .bd_rate import TOO_LITTLE, bd_rate
from .clips import Reference
from .encoders import AnchorCodec, Coded, VqcodecCodec
from .machine import code_digest, machine
from .measure import compare
from .options import BenchOptions
from .pictures import to_bgr
from .records import FORMAT, MEASURES, OURS, Json, Point, curve
from .store import Store, key_of

_MATCH = 0.03  # relative difference of rates that needs no second try
TRIES = 2  # at most, for a point of equal rate
BEYOND = 4  # points at most that an anchor's curve gets at each end where a BD-rate is undefined

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing."""


class ClipRun:
    """Measures points of one clip, each kept in ``store`` when it is finished, or takes them from
    there. ``folder`` is for the files in between; ``say`` gets a sentence for each."""

    def __init__(
        self,
        reference: Reference,
        options: BenchOptions,
        store: Store,
        folder: Path,
        say: Say = silent,
    ) -> None:
        self._reference, self._options = reference, options
        self._store, self._folder = store, folder
        self.say = say
        self._ours = VqcodecCodec(reference, options, folder)
        self._measuring = {
            "format": FORMAT,
            "clip": reference.digest,
            "machine": machine(),
            "vmaf": vmaf.version(),
            "pytorch-msssim": version("pytorch-msssim"),
        }
        self.shown = reference.frames // 2  # the frame whose picture is kept
        self.original = reference.digest[:32]  # key of the source's picture

    def keep_original(self) -> None:
        """Keep the frame of the source that pictures of all points are compared with."""
        if not self._store.picture_path(self.original).is_file():
            with VideoSource(self._reference.path) as source:
                picture = next(p for i, (_, p) in enumerate(source) if i == self.shown)
            self._store.put_picture(self.original, to_bgr(picture, self._reference))

    def anchor(self, anchor: Anchor, crf: float) -> Point:
        """The point of an anchor."""
        settings = {
            "codec": anchor.codec,
            "options": anchor.all_options(crf, self._options.threads),
            "threads": self._options.threads,
        }
        coder = AnchorCodec(self._reference, anchor, self._options, self._folder)
        made_by = {"av": version("av")}
        return self._point(anchor.name, crf, settings, made_by, lambda to: coder.run(crf, to))

    def ours(self, crf: int) -> Point:
        """The point of vqcodec."""
        options = self._options
        model = read_metadata(options.weights)
        settings = {
            "crf": crf,
            "preset": options.preset,
            "threads": options.threads,
            "device": options.device,
        }
        made_by: Json = {
            OURS: __version__,
            "code": code_digest(),
            "model": model.get("model_id"),
            "analysis": model.get("analysis_id"),
        }
        if options.program != BenchOptions.program:
            made_by["program"] = list(options.program)
        return self._point(OURS, crf, settings, made_by, lambda to: self._ours.run(crf, to))

    def _point(
        self, codec: str, crf: float, settings: Json, made_by: Json, code: Callable[[Path], Coded]
    ) -> Point:
        """The point of the cache, or what ``code`` makes, which decodes to a file of that path."""
        key = key_of(**self._measuring, codec=codec, settings=settings, made_by=made_by)
        record = None if self._options.fresh else self._store.get(key)
        if record is not None:
            point = Point.from_json(record)
        else:
            point = self._measured(key, codec, crf, settings, made_by, code)
        fps = "" if point.encode.fps is None else f", {point.encode.fps:.2f} fps"
        self.say(
            f"{self._reference.name} {codec} crf {crf:g}: {point.bpp:.4f} bpp,"
            f" {point.psnr_mean_of_frames.yuv:.2f} dB{fps}"
            f"{' (from the cache)' if record is not None else ''}"
        )
        return point

    def _measured(
        self,
        key: str,
        codec: str,
        crf: float,
        settings: Json,
        made_by: Json,
        code: Callable[[Path], Coded],
    ) -> Point:
        reference, decoded = self._reference, self._folder / "decoded.y4m"
        coded = code(decoded)
        name = f"{reference.name}, {codec} at crf {crf:g}"
        quality = compare(reference, decoded, name, self.shown)
        point = Point(
            key=key,
            codec=codec,
            crf=crf,
            bytes=coded.bytes,
            file_bytes=coded.file_bytes,
            bpp=8 * coded.bytes / reference.samples,
            kbps=float(8 * coded.bytes * reference.rate / reference.frames / 1000),
            psnr_mean_of_frames=quality.psnr_mean_of_frames,
            psnr_of_mean_error=quality.psnr_of_mean_error,
            ms_ssim_db=quality.ms_ssim_db,
            vmaf=vmaf.vmaf(reference.path, decoded, reference.frames, self._options.threads),
            blocking=quality.blocking,
            flicker=quality.flicker,
            encode=coded.encode,
            decode=coded.decode,
            settings=settings,
            made_by=made_by,
            clip=reference.digest,
            frames=reference.frames,
            machine=machine(),
            measured=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        decoded.unlink()
        self._store.put(point.to_json(), to_bgr(quality.picture, reference))
        return point

    def reaching(
        self, anchor: Anchor, points: Sequence[Point], ours: Sequence[Point]
    ) -> list[Point]:
        """The points of an anchor, with more at its ends while it and our curve have too little
        quality in common for a BD-rate."""
        found = sorted(points, key=_crf)
        for _ in range(BEYOND):
            crfs = _farther(anchor, found, ours) - {point.crf for point in found}
            if not crfs:
                break
            found += [self.anchor(anchor, crf) for crf in crfs]
            found.sort(key=_crf)
        return found

    def matched(self, anchor: Anchor, points: Sequence[Point], target: float) -> Point:
        """A point of an anchor with as nearly ``target`` bits per pixel as two tries beside its
        ``points`` give."""

        def apart(point: Point) -> float:
            return abs(math.log(point.bpp / target))

        known = list(points)
        for _ in range(TRIES):
            best = min(known, key=apart)
            crf = crf_for_rate([RatePoint(point.crf, point.bpp) for point in known], target)
            # from 1: to SVT-AV1 0 means its default, to the others lossless
            crf = min(anchor.max_crf, max(1, round(crf / anchor.step) * anchor.step))
            crf = round(crf, 1) if anchor.step < 1 else int(crf)
            if abs(best.bpp / target - 1) <= _MATCH or any(point.crf == crf for point in known):
                break
            known.append(self.anchor(anchor, crf))
        return min(known, key=apart)


def _crf(point: Point) -> float:
    return point.crf


def _farther(anchor: Anchor, found: Sequence[Point], ours: Sequence[Point]) -> set[float]:
    """Crfs beyond the ends of an anchor's curve where it does not reach our qualities."""
    spacing = anchor.crfs[1] - anchor.crfs[0] if len(anchor.crfs) > 1 else 5
    crfs: set[float] = set()
    for measure in MEASURES:
        theirs, own = curve(found, measure), curve(ours, measure)
        if bd_rate(theirs, own).reason != TOO_LITTLE:
            continue
        their_quality = [quality for _, quality in theirs if quality is not None]
        our_quality = [quality for _, quality in own if quality is not None]
        if min(their_quality) > min(our_quality):
            crfs.add(min(anchor.max_crf, found[-1].crf + spacing))
        if max(their_quality) < max(our_quality):
            crfs.add(max(1, found[0].crf - spacing))
    return crfs


class RatePoint(NamedTuple):
    """What an encode at a crf took."""

    crf: float
    bpp: float


def crf_for_rate(points: Sequence[RatePoint], target: float) -> float:
    """The crf that gives ``target`` bits per pixel, by a line through the two nearest points with
    the rate's logarithm."""
    ordered = sorted(points)
    pairs = [(low, high) for low, high in pairwise(ordered) if low.bpp != high.bpp]
    if not pairs:
        return ordered[0].crf

    def outside(pair: tuple[RatePoint, RatePoint]) -> float:
        most, least = (point.bpp for point in pair)
        return max(0.0, math.log(target / most), math.log(least / target))

    # the segment that holds the target, else the nearest end's
    low, high = min(pairs, key=outside)
    share = math.log(target / low.bpp) / math.log(high.bpp / low.bpp)
    return low.crf + (high.crf - low.crf) * share
