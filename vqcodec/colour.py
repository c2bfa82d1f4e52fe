"""Colour tags: their names as FFmpeg has them, for the numbers of ITU-T H.273 that files hold."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError

PRIMARIES = {
    "bt709": 1,
    "unknown": 2,
    "bt470m": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "film": 8,
    "bt2020": 9,
    "smpte428": 10,
    "smpte431": 11,
    "smpte432": 12,
    "ebu3213": 22,
}
TRANSFERS = {
    "bt709": 1,
    "unknown": 2,
    "gamma22": 4,
    "gamma28": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "linear": 8,
    "log100": 9,
    "log316": 10,
    "iec61966-2-4": 11,
    "bt1361e": 12,
    "iec61966-2-1": 13,
    "bt2020-10": 14,
    "bt2020-12": 15,
    "smpte2084": 16,
    "smpte428": 17,
    "arib-std-b67": 18,
}
MATRICES = {
    "bt709": 1,
    "unknown": 2,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 6,
    "smpte240m": 7,
    "ycgco": 8,
    "bt2020nc": 9,
    "bt2020c": 10,
    "smpte2085": 11,
    "chroma-derived-nc": 12,
    "chroma-derived-c": 13,
    "ictcp": 14,
}
RANGES = {"unknown": 0, "tv": 1, "pc": 2}
# FFmpeg's own numbers: those of H.273 and one more
LOCATIONS = {
    "unknown": 0,
    "left": 1,
    "center": 2,
    "topleft": 3,
    "top": 4,
    "bottomleft": 5,
    "bottom": 6,
}
_SAME = {
    "bt470m": "gamma22",
    "bt470bg": "gamma28",
    "srgb": "iec61966-2-1",
    "hlg": "arib-std-b67",
    "pq": "smpte2084",
    "unspecified": "unknown",
}
_SAME |= {
    "limited": "tv",
    "mpeg": "tv",
    "full": "pc",
    "jpeg": "pc",
    "jedec-p22": "ebu3213",
    "bt2020_ncl": "bt2020nc",
    "bt2020_cl": "bt2020c",
}


@dataclass(frozen=True)
class Colour:
    """Tags to put in the place of the source's, as numbers; None: as the source says."""

    primaries: int | None = None
    transfer: int | None = None
    matrix: int | None = None
    range: int | None = None


def number(names: dict[str, int], text: str, option: str) -> int:
    """The number of a name; UsageError with the allowed names."""
    found = None
    if isinstance(text, str):
        found = names.get(text, names.get(_SAME.get(text, "")))
    if found is None:
        raise UsageError(f"{text!r} is unknown, allowed are {', '.join(names)}", option=option)
    return found


def name(names: dict[str, int], value: int) -> str:
    """The name of a number, or the number."""
    return next((k for k, v in names.items() if v == value), str(value))
