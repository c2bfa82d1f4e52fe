"""How the command line spells what the library calls otherwise: one table of all options."""

from __future__ import annotations

from typing import Any

from ..errors import VqvError, respelled

# the library's name of an option, an argument or a limit, or click's where the library has none
FLAGS = {
    # what is taken, and what is made of it
    "start": "-ss",
    "duration": "-t",
    "end": "-to",
    "vframes": "-frames:v",
    "tracks": "-map",
    "without=audio": "-an",
    "without=subtitle": "-sn",
    "without=data": "-dn",
    "rate": "-r",
    "pix_fmt": "-pix_fmt",
    "format": "-f",
    "vcodec": "--vcodec",
    "vcodec_opts": "--vcodec-opts",
    "color_primaries": "-color_primaries",
    "color_trc": "-color_trc",
    "colorspace": "-colorspace",
    "color_range": "-color_range",
    # encoding
    "crf": "-crf",
    "preset": "-preset",
    "gop": "-g",
    "bitrate": "--bitrate",
    "target_psnr": "--target-psnr",
    "max_size": "--max-size",
    "stats": "--stats",
    "estimate": "--estimate",
    "resume": "--resume",
    "playlists": "--allow-playlists",
    # the machine
    "jobs": "--jobs",
    "workers": "--workers",
    "threads": "-threads",
    "batch": "--batch",
    "device": "--device",
    "arithmetic": "--arithmetic",
    "weights": "--weights",
    "cluster": "--scheduler",
    "resources": "--resource",
    # limits
    "pixels": "--max-pixels",
    "packet": "--max-packet",
    "metadata": "--max-metadata",
    "memory": "--max-memory",
    "frames": "--max-frames",
    "concealed": "--max-concealed",
    # files
    "source": "-i",
    "output": "-o",
    "overwrite": "-y",
    "overwrite=False": "-n",
    "strict": "--strict",
    "list": "--list",
    "null": "-0",
    "out": "--out",
    "suffix": "--suffix",
    "decodes": "--decode",
    "log": "--log",
    "log_file": "--log-file",
    "player": "--player",
    # what is told
    "progress": "--progress",
    "quiet": "-q",
    "verbose": "-v",
    "help_all": "--help-all",
    "as_json": "--json",
    "bits": "--bits",
    "gops": "--gops",
    "fast": "--fast",
    # analyze
    "shots": "--shots",
    "activity": "--activity",
    "anomaly": "--anomaly",
    "as_csv": "--csv",
    "as_edl": "--edl",
    "as_otio": "--otio",
    "as_chapters": "--chapters",
    "like": "--like",
    "sheet": "--sheet",
    "embed": "--embed",
    "threshold": "--threshold",
    "min_shot": "--min-shot",
    "start_timecode": "--start-timecode",
    "drop_frame": "--drop-frame",
    "encode": "--encode",
    # tokens
    "shallow": "--shallow",
    "tokens.start": "--start",
    "max_level": "--max-level",
    "arrays": "--arrays",
    # bench and train
    "crfs": "--crf",
    "anchors": "--anchors",
    "bench.frames": "--frames",
    "cache": "--cache",
    "fresh": "--fresh",
    "html": "--html",
    "plot": "--plot",
    "restart": "--restart",
    "dry_run": "--dry-run",
}


def flag(name: str, value: str | None = None) -> str:
    """An option as it is typed: ``-y`` for ``overwrite``, ``-map v`` for ``tracks=v``."""
    if value is None or value == "True":
        return FLAGS.get(name, name)
    return FLAGS.get(f"{name}={value}") or f"{FLAGS.get(name, name)} {value}"


def sentence(exc: VqvError) -> str:
    """What an error says, in one line, with the flags that its options have here."""
    return " ".join(exc.told(flag).split())


def record(value: Any) -> Any:
    """What is printed as JSON, with remarks in the place of the library's sentences in lists."""
    if isinstance(value, dict):
        return {key: record(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [remark(v) if isinstance(v, str) else record(v) for v in value]
    return value


def remark(text: object) -> str:
    """A note or a warning of the library with the flags of the options in it."""
    return respelled(str(text), flag)
