"""The whole benchmark: every clip through every encoder at every quality, and what follows from it."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import numpy as np

from .. import __version__
from ..codec.weights import read_metadata
from ..media.source import VideoSource
from ..system.processors import processor, usable
from . import vmaf
from .anchors import Anchor
from .bd_rate import TOO_LITTLE, bd_rate
from .clips import Reference, clip_names, make_reference
from .encoders import AnchorCoder, VqcodecCoder
from .measure import WEIGHTED, compare
from .options import BenchOptions
from .pictures import to_bgr
from .store import Store, key_of

OURS = "vqcodec"
FORMAT = 2  # of the records and pictures; another number measures everything anew
# quality measures that BD-rates are given for: title, and how to read it from a point
MEASURES: dict[str, tuple[str, Callable[[dict[str, Any]], float | None]]] = {
    "psnr": (f"PSNR {WEIGHTED}, mean of frames", lambda p: p["psnr_mean_of_frames"][WEIGHTED]),
    "psnr_of_mean_error": (
        f"PSNR {WEIGHTED}, of the mean error",
        lambda p: p["psnr_of_mean_error"][WEIGHTED],
    ),
    "ms_ssim": ("MS-SSIM of luma in dB", lambda p: p["ms_ssim_db"]),
    "vmaf": ("VMAF", lambda p: p["vmaf"]),
}
_MATCH = 0.03  # relative difference of rates that needs no second try
TRIES = 2  # at most, for a point of equal rate
BEYOND = 4  # points at most that an anchor's curve gets at each end, for a BD-rate that would be undefined

Say = Callable[[str], None]


@cache
def machine() -> str:
    """Processor and number of its cores that this process may use."""
    cores = usable()
    return f"{processor().name}, {cores} core{'s' if cores > 1 else ''}"


def versions() -> dict[str, str]:
    """Versions of all that results depend on."""
    ffmpeg = ", ".join(
        f"{k} {'.'.join(map(str, v))}"
        for k, v in sorted(av.library_versions.items())
        if k in ("libavcodec", "libswscale")
    )
    packages = {
        name: version(name) for name in ("av", "numpy", "torch", "pytorch-msssim", "bjontegaard")
    }
    return (
        {OURS: __version__}
        | packages
        | {
            "FFmpeg of av": ffmpeg,
            "VMAF": vmaf.version()
            or "not measured: no FFmpeg with libvmaf (pip install imageio-ffmpeg)",
        }
    )


@cache
def _code() -> str:
    """Digest of the codec's source: a changed encoder is measured anew."""
    folder = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(folder).parts[0] not in ("bench", "cli", "training"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class ClipRun:
    """Measures points of one clip, each kept in ``store`` when it is finished, or takes them from there. ``folder`` is for the files in between."""

    def __init__(
        self,
        reference: Reference,
        options: BenchOptions,
        store: Store,
        folder: Path,
        say: Say = lambda text: None,
    ) -> None:
        self._reference, self._options, self._store, self._folder, self.say = (
            reference,
            options,
            store,
            folder,
            say,
        )
        self._ours = VqcodecCoder(reference, options, folder)
        self._keep = reference.frames // 2
        self._measuring = {
            "format": FORMAT,
            "clip": reference.digest,
            "machine": machine(),
            "vmaf": vmaf.version(),
            "pytorch-msssim": version("pytorch-msssim"),
        }
        self.original = reference.digest[:32]

    def keep_original(self) -> None:
        """Keep the frame of the source that pictures of all points are compared with."""
        if not self._store.picture_path(self.original).is_file():
            with VideoSource(self._reference.path) as source:
                picture = next(p for i, (_, p) in enumerate(source) if i == self._keep)
            self._store.put_picture(self.original, to_bgr(picture, self._reference))

    def anchor(self, anchor: Anchor, crf: float) -> dict[str, Any]:
        """The point of an anchor."""
        settings = {
            "codec": anchor.codec,
            "options": anchor.all_options(crf, self._options.threads),
            "threads": self._options.threads,
        }
        coder = AnchorCoder(self._reference, anchor, self._options, self._folder)
        return self._point(anchor.name, crf, settings, {"av": version("av")}, coder.run)

    def ours(self, crf: int) -> dict[str, Any]:
        """The point of vqcodec."""
        o = self._options
        meta = read_metadata(o.weights)
        settings = {"crf": crf, "preset": o.preset, "threads": o.threads, "device": o.device}
        made_by = {
            OURS: __version__,
            "code": _code(),
            "model": meta.get("model_id"),
            "analysis": meta.get("analysis_id"),
        }
        return self._point(
            OURS,
            crf,
            settings,
            made_by | ({} if o.program == BenchOptions.program else {"program": list(o.program)}),
            self._ours.run,
        )

    def _point(
        self,
        codec: str,
        crf: Any,
        settings: dict[str, Any],
        made_by: dict[str, Any],
        code: Callable[[Any, Path], Any],
    ) -> dict[str, Any]:
        key = key_of(**self._measuring, codec=codec, settings=settings, made_by=made_by)
        record = None if self._options.fresh else self._store.get(key)
        cached = record is not None
        if record is None:
            r, decoded = self._reference, self._folder / "decoded.y4m"
            coded = code(crf, decoded)
            quality = compare(r, decoded, f"{r.name}, {codec} at crf {crf:g}", self._keep)
            record = {
                "key": key,
                "codec": codec,
                "crf": crf,
                "bytes": coded.bytes,
                "file_bytes": coded.file_bytes,
                "bpp": 8 * coded.bytes / r.samples,
                "kbps": float(8 * coded.bytes * r.rate / r.frames / 1000),
                "psnr_mean_of_frames": quality.psnr_mean_of_frames,
                "psnr_of_mean_error": quality.psnr_of_mean_error,
                "ms_ssim_db": quality.ms_ssim_db,
                "vmaf": vmaf.vmaf(r.path, decoded, r.frames, self._options.threads),
                "encode": coded.encode,
                "decode": coded.decode,
                "settings": settings,
                "made_by": made_by,
                "clip": r.digest,
                "frames": r.frames,
                "machine": machine(),
                "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            decoded.unlink()
            self._store.put(record, to_bgr(quality.picture, r))
        psnr, fps = record["psnr_mean_of_frames"][WEIGHTED], record["encode"]["fps"]
        speed = "" if fps is None else f", {fps:.2f} fps"
        self.say(
            f"{self._reference.name} {codec} crf {crf:g}: {record['bpp']:.4f} bpp, {psnr:.2f} dB{speed}{' (from the cache)' if cached else ''}"
        )
        return record

    def reaching(
        self, anchor: Anchor, points: list[dict[str, Any]], ours: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The points of an anchor, with more at its ends while it and our curve have too little
        quality in common for a BD-rate."""
        found = sorted(points, key=lambda p: p["crf"])
        spacing = anchor.crfs[1] - anchor.crfs[0] if len(anchor.crfs) > 1 else 5
        for _ in range(BEYOND):
            apart = [
                m for m in MEASURES if bd_rate(curve(found, m), curve(ours, m)).reason == TOO_LITTLE
            ]
            crfs = set()
            for m in apart:
                theirs, own = ([q for _, q in curve(p, m) if q is not None] for p in (found, ours))
                if min(theirs) > min(own):
                    crfs.add(min(anchor.max_crf, found[-1]["crf"] + spacing))
                if max(theirs) < max(own):
                    crfs.add(max(1, found[0]["crf"] - spacing))
            crfs -= {p["crf"] for p in found}
            if not crfs:
                break
            found += [self.anchor(anchor, crf) for crf in crfs]
            found.sort(key=lambda p: p["crf"])
        return found

    def matched(
        self, anchor: Anchor, points: list[dict[str, Any]], target: float
    ) -> dict[str, Any]:
        """A point of an anchor with as nearly ``target`` bits per pixel as two tries beside its ``points`` give."""
        known = list(points)
        for _ in range(TRIES):
            best = min(known, key=lambda p: abs(np.log(p["bpp"] / target)))
            crf = crf_for_rate([(p["crf"], p["bpp"]) for p in known], target)
            # from 1: to SVT-AV1 0 means its default, to the others lossless
            crf = min(anchor.max_crf, max(1, round(crf / anchor.step) * anchor.step))
            crf = round(crf, 1) if anchor.step < 1 else int(crf)
            if abs(best["bpp"] / target - 1) <= _MATCH or any(p["crf"] == crf for p in known):
                break
            known.append(self.anchor(anchor, crf))
        return min(known, key=lambda p: abs(np.log(p["bpp"] / target)))


def crf_for_rate(points: list[tuple[float, float]], target: float) -> float:
    """The crf that gives ``target`` bits per pixel, by a line through the two nearest of (crf, bits per pixel) with the rate's logarithm."""
    ordered = sorted(points)
    pairs = [(a, b) for a, b in zip(ordered, ordered[1:], strict=False) if a[1] != b[1]]
    if not pairs:
        return ordered[0][0]
    # the segment that holds the target, else the nearest end's
    (c0, r0), (c1, r1) = min(
        pairs, key=lambda p: max(0.0, np.log(target / p[0][1]), np.log(p[1][1] / target))
    )
    return float(c0 + (c1 - c0) * np.log(target / r0) / np.log(r1 / r0))


def _numbered(say: Say, total: int) -> Say:
    numbers: Iterator[int] = iter(range(1, 1 << 30))
    begin = time.monotonic()

    def said(text: str) -> None:
        n = next(numbers)
        left = (time.monotonic() - begin) / n * (total - n)
        say(f"[{n}/{total}] {text}" + (f", about {left / 60:.0f} min left" if left > 90 else ""))

    return said


def run(
    clips: list[Path],
    options: BenchOptions,
    store: Store,
    matched: bool = False,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Measure all and give the results as a dict that JSON can hold; docs/cli.md describes it.

    With ``matched``, each quality of vqcodec is joined by points of the anchors at about the same rate. Each finished point is in ``store`` at once.
    ``say`` gets a sentence for each. Raises VqvErrors.
    """
    begin = time.monotonic()
    total = len(clips) * (len(options.crfs) + sum(len(a.crfs) for a in options.anchors))
    numbered = _numbered(say, total)
    found = []
    for clip, name in zip(clips, clip_names(clips), strict=True):
        with tempfile.TemporaryDirectory(prefix="vqcodec-bench-") as folder:
            reference = make_reference(
                clip, name, Path(folder), options.frames, even=bool(options.anchors)
            )
            for note in reference.notes:
                say(f"{name}: note: {note}")
            of_clip = ClipRun(reference, options, store, Path(folder), numbered)
            of_clip.keep_original()
            points = {a.name: [of_clip.anchor(a, crf) for crf in a.crfs] for a in options.anchors}
            points[OURS] = [of_clip.ours(crf) for crf in options.crfs]
            of_clip.say = lambda text: say(f"to reach vqcodec's qualities: {text}")
            for a in options.anchors:
                points[a.name] = of_clip.reaching(a, points[a.name], points[OURS])
            entry = {
                "name": name,
                "width": reference.width,
                "height": reference.height,
                "frames": reference.frames,
                "rate": str(reference.rate),
                "bit_depth": 10 if reference.ten_bit else 8,
                "digest": reference.digest,
                "notes": list(reference.notes),
                "shown_frame": reference.frames // 2,
                "original": of_clip.original,
                "points": points,
                "bd_rate": {
                    a.name: {
                        m: bd_rate(curve(points[a.name], m), curve(points[OURS], m))._asdict()
                        for m in MEASURES
                    }
                    for a in options.anchors
                },
            }
            if matched:
                of_clip.say = lambda text: say(f"for the comparison of frames: {text}")
                entry["matched"] = [
                    {a.name: of_clip.matched(a, points[a.name], p["bpp"]) for a in options.anchors}
                    for p in points[OURS]
                ]
            found.append(entry)
    meta = read_metadata(options.weights)
    return {
        "format": f"vqcodec-bench-{FORMAT}",
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": time.monotonic() - begin,
        "machine": machine(),
        "versions": versions() | {"model": meta.get("model_id", "unknown")},
        "settings": {
            "crf": list(options.crfs),
            "preset": options.preset,
            "threads": options.threads,
            "device": options.device,
            "frames": options.frames,
            "anchors": [asdict(a) | {"options": dict(a.options)} for a in options.anchors],
        },
        "measures": {m: title for m, (title, _) in MEASURES.items()},
        "clips": found,
        "summary": _summary(found, options),
    }


def curve(points: list[dict[str, Any]], measure: str) -> list[tuple[float, float | None]]:
    """Bits per pixel and one of MEASURES of each point."""
    return [(p["bpp"], MEASURES[measure][1](p)) for p in points]


def _summary(clips: list[dict[str, Any]], options: BenchOptions) -> dict[str, Any]:
    """Mean BD-rate with the number of clips behind it, and speed and memory of each encoder."""
    bd: dict[str, Any] = {}
    for a in options.anchors:
        bd[a.name] = {}
        for m in MEASURES:
            values = [c["bd_rate"][a.name][m]["percent"] for c in clips]
            known = [v for v in values if v is not None]
            low, high = (min(known), max(known)) if known else (None, None)
            bd[a.name][m] = {
                "percent": float(np.mean(known)) if known else None,
                "best": low,
                "worst": high,
                "clips": len(known),
                "undefined": len(values) - len(known),
            }
    speed = {}
    for codec in [OURS, *(a.name for a in options.anchors)]:
        points = [p for c in clips for p in c["points"][codec]]
        speed[codec] = {
            work: {
                "fps": _mean([p[work]["fps"] for p in points]),
                "start_seconds": _mean([p[work]["start_seconds"] for p in points]),
                "peak_bytes": max(p[work]["peak_bytes"] for p in points),
            }
            for work in ("encode", "decode")
        }
    return {"bd_rate": bd, "speed": speed}


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
