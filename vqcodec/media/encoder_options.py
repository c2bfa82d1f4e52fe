"""Options of the encoders of outputs: how good, and what the pictures need to be written as they
are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from ..container.description import Description
from ..system.processors import processor

DEFAULTS = {
    "libx264": {"crf": "12"},
    "libx265": {"crf": "12", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "12", "b": "0"},
    "libsvtav1": {"crf": "12"},
    "ffv1": {"level": "3"},
}
LOSSLESS = {"ffv1", "ffvhuff", "huffyuv", "rawvideo", "utvideo", "png", "magicyuv", "v210"}
# options that keep encoders from reordering pictures
IN_ORDER = {"libx264": {"bf": "0"}, "libx265": {"x265-params": "bframes=0"}}
# options that hold others, which are put together instead of replaced
_LISTS = {"x264-params", "x265-params", "svtav1-params"}
_SMALL = 64  # pixels a side; ffv1 refuses less with the number of slices it chooses itself


def combined(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Options of all parts; the later says more, and lists within options go on."""
    made: dict[str, str] = {}
    for part in parts:
        for key, value in part.items():
            made[key] = f"{made[key]}:{value}" if key in _LISTS and made.get(key) else value
    return made


def of_processor(codec: str) -> dict[str, str]:
    """Options that give the same bytes in every run.

    x264's code for AVX-512 reads memory that nobody has written where a row has not a multiple of
    four macroblocks: its lookahead (mbtree) then weighs them by chance.
    """
    if codec == "libx264" and "avx512f" in processor().features:
        return {"x264-params": "asm=avx2"}
    return {}


def of_size(codec: str, width: int, height: int) -> dict[str, str]:
    """Options that small pictures need."""
    return {"slices": "1"} if codec == "ffv1" and min(width, height) < _SMALL else {}


def quality_of(codec: str, options: Mapping[str, str]) -> str:
    """For messages: what the pictures are written with, and whether that loses anything."""
    if not codec:
        return "raw pictures"
    all_options = {**DEFAULTS.get(codec, {}), **options}
    if codec in LOSSLESS or (all_options.get("qp") == "0" and codec == "libx264"):
        return f"{codec} (lossless)"
    names = ("crf", "qp", "q", "b")
    given = [f"{n} {all_options[n]}" for n in names if all_options.get(n, "0") != "0"]
    return f"{' '.join([codec, *given[:1]])} (lossy: `vcodec=ffv1` keeps the pixels)"


def hdr_options(codec: str, description: Description) -> dict[str, str] | None:
    """Options that make an encoder write the HDR data; None for one that has none."""
    names = {
        "libx264": ("x264-params", "mastering-display", "cll"),
        "libx265": ("x265-params", "master-display", "max-cll"),
        "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
    }.get(codec)
    if names is None:
        return None
    option, mastering, light = names
    parts = []
    if shown := _mastering_numbers(codec, description):
        parts.append(
            f"{mastering}=G({shown[2]},{shown[3]})B({shown[4]},{shown[5]})R({shown[0]},{shown[1]})"
            f"WP({shown[6]},{shown[7]})L({shown[9]},{shown[8]})"
        )
    if description.light:
        parts.append(f"{light}={description.light[0]},{description.light[1]}")
    return {option: ":".join(parts)} if parts else {}


def _mastering_numbers(codec: str, description: Description) -> list[str]:
    """Primaries (red, green, blue), white point, least and most luminance; none where not all are
    known.

    SVT-AV1 takes decimals, the others units of 0.00002 and 0.0001 cd/m2.
    """
    mastering = description.mastering
    if mastering is None or not mastering.has_primaries or not mastering.has_luminance:
        return []
    values = [Fraction(n, d) for n, d in mastering.values if d]
    if len(values) != len(mastering.values):
        return []
    if codec == "libsvtav1":
        return [f"{float(value):.6g}" for value in values]
    return [str(round(x * (50000 if i < 8 else 10000))) for i, x in enumerate(values)]
