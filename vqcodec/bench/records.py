"""What a benchmark measures, as types; :meth:`to_json` of each gives what leaves the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..psnr import Psnr
from .bd_rate import BdRate
from .measure import PLANES, WEIGHTED

OURS = "vqcodec"
FORMAT = 3  # of the records and pictures; another number measures everything anew

Json = dict[str, Any]  # an object that JSON can hold


@dataclass(frozen=True)
class Speed:
    """What an encode or a decode took."""

    fps: float | None  # without what starting takes; None for a single frame
    seconds: float  # of the whole process
    start_seconds: float  # of these, until the first frame
    peak_bytes: int  # of memory


@dataclass(frozen=True)
class Point:
    """One encoder at one quality on one clip."""

    key: str  # of all that it depends on
    codec: str
    crf: float
    bytes: int  # that count as rate
    file_bytes: int  # on disk
    bpp: float  # bits per pixel
    kbps: float
    psnr_mean_of_frames: Psnr
    psnr_of_mean_error: Psnr
    ms_ssim_db: float | None  # None for small pictures
    vmaf: float | None  # None where nothing measures it
    blocking: float | None  # see VisibleFaults; None where nothing is smooth
    flicker: float | None  # None where nothing is still
    encode: Speed
    decode: Speed
    settings: Json
    made_by: Json  # versions of the encoder
    clip: str  # digest
    frames: int
    machine: str
    measured: str  # time, as in ISO 8601

    def to_json(self) -> Json:
        """As a line of the cache and as a part of the results."""
        psnr = {name: _planes(getattr(self, name)) for name in _PSNR}
        return (
            {f.name: getattr(self, f.name) for f in fields(self)}
            | psnr
            | {
                "encode": asdict(self.encode),
                "decode": asdict(self.decode),
            }
        )

    @classmethod
    def from_json(cls, record: Json) -> Point:
        """The point of a line of the cache; KeyError and TypeError for other lines."""
        psnr = {name: Psnr(*(record[name][plane] for plane in PLANES)) for name in _PSNR}
        speed = {name: Speed(**record[name]) for name in ("encode", "decode")}
        return cls(**record | psnr | speed)


_PSNR = ("psnr_mean_of_frames", "psnr_of_mean_error")


def _planes(psnr: Psnr) -> Json:
    return dict(zip(PLANES, psnr, strict=True))


@dataclass(frozen=True)
class Measure:
    """A measure of quality, of which BD-rates are given."""

    title: str
    quality: Callable[[Point], float | None]  # None where it was not measured
    axis: str  # what its axis is called in charts
    caption: str | None  # beside a picture, with {} for the value; None: not there, and no chart


MEASURES = {
    "psnr": Measure(
        f"PSNR {WEIGHTED}, mean of frames",
        lambda point: point.psnr_mean_of_frames.yuv,
        f"PSNR {WEIGHTED}, mean of frames, dB",
        "PSNR {:.2f} dB",
    ),
    "psnr_of_mean_error": Measure(
        f"PSNR {WEIGHTED}, of the mean error",
        lambda point: point.psnr_of_mean_error.yuv,
        f"PSNR {WEIGHTED}, of the mean error, dB",
        None,
    ),
    "ms_ssim": Measure(
        "MS-SSIM of luma in dB",
        lambda point: point.ms_ssim_db,
        "MS-SSIM of luma in dB",
        "MS-SSIM {:.2f} dB",
    ),
    "vmaf": Measure("VMAF", lambda point: point.vmaf, "VMAF", "VMAF {:.1f}"),
}

Curve = list[tuple[float, float | None]]  # bits per pixel and quality


def curve(points: Sequence[Point], measure: str) -> Curve:
    """Bits per pixel and one of MEASURES of each point."""
    quality = MEASURES[measure].quality
    return [(point.bpp, quality(point)) for point in points]


@dataclass(frozen=True)
class ClipResult:
    """All of one clip."""

    name: str
    width: int
    height: int
    frames: int
    rate: str  # frames a second, as a fraction
    bit_depth: int
    digest: str
    notes: list[str]
    shown_frame: int
    original: str  # key of the picture of that frame
    points: dict[str, list[Point]]  # by encoder
    bd_rate: dict[str, dict[str, BdRate]]  # of vqcodec, by anchor and measure
    # points of the anchors at about the rate of each point of vqcodec, if they were asked for
    matched: list[dict[str, Point]] | None = None

    def to_json(self) -> Json:
        """As a part of the results."""
        result = {f.name: getattr(self, f.name) for f in fields(self)} | {
            "points": {name: [p.to_json() for p in points] for name, points in self.points.items()},
            "bd_rate": {
                anchor: {measure: bd._asdict() for measure, bd in of.items()}
                for anchor, of in self.bd_rate.items()
            },
        }
        del result["matched"]
        if self.matched is not None:
            result["matched"] = [
                {name: point.to_json() for name, point in at.items()} for at in self.matched
            ]
        return result


@dataclass(frozen=True)
class MeanBdRate:
    """Of the clips for which it is defined."""

    percent: float | None
    best: float | None
    worst: float | None
    clips: int
    undefined: int  # clips for which it is not


@dataclass(frozen=True)
class MeanSpeed:
    """Of all points of an encoder: means of frames a second and of starting, the highest peak."""

    fps: float | None
    start_seconds: float | None
    peak_bytes: int


@dataclass(frozen=True)
class Summary:
    """Of all clips."""

    bd_rate: dict[str, dict[str, MeanBdRate]]  # by anchor and measure
    speed: dict[str, dict[str, MeanSpeed]]  # by encoder, of "encode" and "decode"

    def to_json(self) -> Json:
        """As a part of the results."""
        return asdict(self)


@dataclass(frozen=True)
class Results:
    """A whole benchmark."""

    made: str  # time, as in ISO 8601
    seconds: float
    machine: str
    versions: Mapping[str, str]
    settings: Json
    clips: list[ClipResult]
    summary: Summary

    def to_json(self) -> Json:
        """What ``--json`` writes; docs/cli.md describes it."""
        return {
            "format": f"vqcodec-bench-{FORMAT}",
            "made": self.made,
            "seconds": self.seconds,
            "machine": self.machine,
            "versions": dict(self.versions),
            "settings": self.settings,
            "measures": {name: measure.title for name, measure in MEASURES.items()},
            "clips": [clip.to_json() for clip in self.clips],
            "summary": self.summary.to_json(),
        }
