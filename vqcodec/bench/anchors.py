"""The encoders that vqcodec is measured against, with their settings."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Anchor:
    """An encoder with its settings: ``crfs`` are those of its curve, ``step`` and ``max_crf`` what
    it takes."""

    name: str
    title: str
    codec: str  # FFmpeg's name
    options: tuple[tuple[str, str], ...]
    crfs: tuple[int, ...]
    max_crf: int
    step: float

    def all_options(self, crf: float, threads: int) -> dict[str, str]:
        """Options of one encode; ``threads`` 0 leaves their number to the encoder."""
        options = dict(self.options) | {"crf": f"{crf:g}"}
        if threads and self.codec == "libx265":
            options["x265-params"] += f":pools={threads}"
        if threads and self.codec == "libsvtav1":
            options["svtav1-params"] += f":lp={threads}"
        return options


_X26 = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
_PRESETS = {"x264": _X26, "x265": _X26, "svtav1": tuple(map(str, range(14)))}
_DEFAULT = {"x264": "medium", "x265": "medium", "svtav1": "6"}


def parse_anchor(text: str) -> Anchor:
    """``x264``, ``x265`` or ``svtav1``, with a preset if not the usual one (``x265:slow``); all of
    them tuned for PSNR, with their own GOPs."""
    kind, _, preset = text.partition(":")
    if kind not in _PRESETS:
        raise UsageError(
            f"{kind!r} is unknown, allowed are {', '.join(_PRESETS)} and none", option="anchors"
        )
    preset = preset or _DEFAULT[kind]
    if preset not in _PRESETS[kind]:
        raise UsageError(
            f"{kind} has no preset {preset!r}, allowed are {', '.join(_PRESETS[kind])}",
            option="anchors",
        )
    if kind == "svtav1":
        # tune 1 is PSNR, as the others' tune=psnr
        return Anchor(
            f"svtav1-p{preset}",
            f"SVT-AV1, preset {preset}",
            "libsvtav1",
            (("preset", preset), ("svtav1-params", "tune=1")),
            (26, 35, 44, 53, 61),
            63,
            1,
        )
    options = [("preset", preset), ("tune", "psnr")]
    if kind == "x265":
        options.append(("x265-params", "log-level=none"))
    return Anchor(
        f"{kind}-{preset}",
        f"{kind}, preset {preset}",
        "lib" + kind,
        tuple(options),
        (20, 25, 30, 35, 40),
        51,
        0.1,
    )
