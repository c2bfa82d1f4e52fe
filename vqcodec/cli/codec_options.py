"""Options of how to encode and decode: groups, as those of :mod:`.options`."""

from __future__ import annotations

import click

from ..options import ARITHMETIC, DEFAULT_GOP, MAX_GOP, PRESET_NAMES, EncodeOptions
from . import typed
from .command import rare
from .groups import fields, group
from .options import LIMITS

QUALITY = group(
    typed.quality,
    click.option(
        "-preset",
        "--preset",
        "preset",
        default=EncodeOptions.preset,
        metavar="NAME",
        shell_complete=typed.presets,
        help=f"How long to search: {PRESET_NAMES}.",
        show_default=True,
    ),
    click.option(
        "-crf",
        "--quality",
        "crf",
        type=float,
        metavar="N",
        help=(
            "Quality, 0 (best) to 63 (smallest); fractions are allowed. [default:"
            f" {EncodeOptions.crf}]"
        ),
    ),
    click.option(
        "-b",
        "-b:v",
        "--bitrate",
        "bitrate",
        metavar="RATE",
        help="Instead of -crf: bits per second of the pictures, 800k or 2M.",
    ),
    click.option(
        "--target-psnr",
        type=float,
        metavar="DB",
        help="Instead of -crf: PSNR of the whole, (6 Y + U + V) / 8, in dB.",
    ),
    click.option(
        "--max-size",
        metavar="SIZE",
        help="Instead of -crf: largest size of the finished file with all tracks, 700k or 50M.",
    ),
    click.option(
        "-g",
        "--keyint",
        "keyint",
        metavar="N",
        help=(
            f"Longest distance of key frames: 1 to {MAX_GOP} (frames), or seconds (4s). [default:"
            f" {DEFAULT_GOP}]"
        ),
    ),
)
COLOUR = group(
    typed.colour,
    rare(
        "-color_primaries",
        "--color-primaries",
        "color_primaries",
        metavar="NAME",
        help="Colour primaries instead of the source's, e.g. bt709.",
    ),
    rare(
        "-color_trc",
        "--color-trc",
        "color_trc",
        metavar="NAME",
        help="Transfer characteristics instead of the source's, e.g. smpte2084.",
    ),
    rare(
        "-colorspace",
        "--colorspace",
        "colorspace",
        metavar="NAME",
        help="Matrix instead of the source's, e.g. bt2020nc.",
    ),
    rare(
        "-color_range",
        "--color-range",
        "color_range",
        metavar="NAME",
        help="Range instead of the source's: tv or pc.",
    ),
)
PLAYLISTS = fields(
    rare(
        "--allow-playlists",
        "playlists",
        is_flag=True,
        help="Let the source name other files of this machine, as HLS, DASH and concat do.",
    ),
    names="playlists",
)
ARITHMETICS = fields(
    rare(
        "--arithmetic",
        type=click.Choice(ARITHMETIC),
        default="auto",
        help=(
            "What the encoder's networks multiply in; auto: integers on a CPU, on other devices"
            " the faster of the floats."
        ),
    ),
    names="arithmetic",
)
JOBS = group(
    typed.jobs,
    click.option(
        "--jobs",
        type=int,
        metavar="N",
        help=(
            "Processes that code GOPs at the same time, 0 for one on each processor; never"
            " changes the result. By processors and memory if neither this nor -threads is given."
        ),
    ),
)
RECORDS = fields(
    rare(
        "--resume",
        is_flag=True,
        help="Continue an encode that was cut off; if this one is, keep its work.",
    ),
    rare(
        "--stats",
        metavar="FILE",
        type=click.Path(),
        help="Write a line of JSON for each frame.",
    ),
    names="resume stats",
)
FORMAT = group(
    typed.format_,
    rare(
        "-f",
        "--format",
        "format_",
        metavar="NAME",
        help=(
            "Kind of the output, not by its suffix: matroska (of -: with all tracks),"
            " yuv4mpegpipe, mp4."
        ),
    ),
)
VCODEC = group(
    typed.video_codec,
    click.option(
        "--vcodec",
        metavar="NAME",
        help=(
            "Picture codec of the output, e.g. libx264, libx265, ffv1, rawvideo; by suffix if"
            " not given."
        ),
    ),
    rare(
        "--vcodec-opts",
        metavar="OPTS",
        default="",
        help="Its options: crf=12:preset=fast",
    ),
    rare(
        "-pix_fmt",
        "--pix-fmt",
        "pix_fmt",
        metavar="NAME",
        help=(
            "Pixel format of the output, e.g. yuv444p; source for that of the source. [default:"
            " 4:2:0]"
        ),
    ),
)
# of many files: what only an encode has, and what only a decode has
ENCODE_ONLY = (QUALITY, COLOUR, PLAYLISTS, ARITHMETICS)
DECODE_ONLY = (VCODEC, LIMITS)
