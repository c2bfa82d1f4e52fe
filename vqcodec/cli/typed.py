"""Words of the command line become values: what the options of :mod:`.options` mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..colour import MATRICES, PRIMARIES, RANGES, TRANSFERS, Colour, number
from ..encoding.rate_distortion import PRESETS
from ..errors import UsageError
from ..options import MAX_GOP, DecodeOptions, EncodeOptions, Limits, Time, TrackChoice
from ..parsing import parse_amount, parse_codec_options, parse_gop, parse_rate, parse_time
from ..system.stdio import check_source, is_stream
from . import messages
from .messages import Manner, say

Fields = dict[str, Any]  # of EncodeOptions and DecodeOptions, by their names
Made = TypeVar("Made", EncodeOptions, DecodeOptions)


def made(kind: type[Made], fields: Fields) -> Made:
    """Options of this kind; fields of the other kind are left out."""
    known = kind.__dataclass_fields__
    return kind(**{name: value for name, value in fields.items() if name in known})


@dataclass(frozen=True)
class Named:
    """Input and output as they are named, and whether an output that is there is replaced."""

    names: tuple[str, ...]
    input_: str | None
    output: str | None
    overwrite: bool

    def pair(self, suffix: str) -> tuple[str, str]:
        """Input and output; an output that is not named lies beside the input and has its name
        with this suffix."""
        rest = list(self.names)
        src = self.input_ if self.input_ is not None else rest.pop(0) if rest else None
        dst = self.output if self.output is not None else rest.pop(0) if rest else None
        if rest:
            raise UsageError(f"one argument too many: {rest[0]!r}; a name with spaces needs quotes")
        if src is None:
            command = click.get_current_context().command_path
            raise UsageError(f"an input is needed; {command} -h shows how")
        return src, self._beside(src, suffix) if dst is None else dst

    def alone(self) -> str:
        """The input, where no output is needed and one that is named is left alone."""
        given = len(self.names) + (self.input_ is not None) + (self.output is not None)
        output = "-" if given == 1 else self.output
        src, _ = Named(self.names, self.input_, output, self.overwrite).pair(".vqv")
        return src

    @staticmethod
    def _beside(src: str, suffix: str) -> str:
        check_source(src)
        if is_stream(src):
            raise UsageError(f"{src}: an output is needed: a pipe has no name that tells one")
        dst = Path(src).with_suffix(suffix)
        if dst == Path(src):
            raise UsageError(f"{src}: an output is needed: the input ends in {suffix} already")
        return str(dst)


def named(paths: tuple[str, ...], input_: str | None, output: str | None, overwrite: bool) -> Named:
    """What PATHS say."""
    return Named(paths, input_, output, overwrite)


def manner(progress_mode: str, quiet: bool) -> Manner:
    """What TALK says."""
    return Manner(progress_mode, quiet)


@dataclass(frozen=True)
class Scheduler:
    """A cluster's scheduler, and what its workers must have for a task."""

    address: str
    resources: dict[str, float]


def scheduler(scheduler: str | None, resource: tuple[str, ...]) -> Scheduler | None:
    """What CLUSTER says; None for this machine."""
    resources = {}
    for text in resource:
        name, _, value = text.partition("=")
        if (
            not name
            or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII)
            or not float(value)
        ):
            raise UsageError(
                f"--resource: {text!r} is none: allowed are a name and a number, such as GPU=1"
            )
        resources[name] = float(value)
    if scheduler is None:
        if resource:
            raise UsageError("--resource is about a --scheduler, and none is given")
        return None
    return Scheduler(scheduler, resources)


@dataclass(frozen=True)
class Files:
    """What a batch takes, and where it writes."""

    paths: tuple[str, ...]
    out: str | None
    list_: str | None  # a file of names
    null: bool  # whether these end with a NUL

    def folder(self) -> str:
        """The folder of the outputs; UsageError without one, and where nothing is named."""
        if self.out is None:
            raise UsageError("--out is missing: the folder for the outputs")
        if not self.paths and self.list_ is None:
            raise UsageError("there is nothing to do: name files, folders or a --list")
        if self.null and self.list_ is None:
            raise UsageError("-0 is about a --list, and none is given")
        return self.out


def files(paths: tuple[str, ...], out: str | None, list_: str | None, null: bool) -> Files:
    """What the files of a batch are."""
    return Files(paths, out, list_, null)


@dataclass(frozen=True)
class Work:
    """What a batch does with its files."""

    decodes: bool
    suffix: str  # of decoded files
    workers: int
    overwrite: bool | None  # None: what is there is left as it is


def work(existing: str | None, decodes: bool, suffix: str, workers: int) -> Work:
    """What is done with the files of a batch."""
    overwrite = {"y": True, "n": None, None: False}[existing]
    return Work(decodes, suffix, workers, overwrite)


# -- fields of EncodeOptions and DecodeOptions


def quality(
    preset: str,
    crf: float | None,
    bitrate: str | None,
    target_psnr: float | None,
    max_size: str | None,
    keyint: str | None,
) -> Fields:
    """What QUALITY says."""
    targets = {"-b": bitrate, "--target-psnr": target_psnr, "--max-size": max_size}
    given = [option for option, value in targets.items() if value is not None]
    if crf is not None and given:
        raise UsageError(f"-crf and {given[0]} exclude each other")
    fields: Fields = {
        "preset": preset,
        "crf": EncodeOptions.crf if crf is None else crf,
        "bitrate": None if bitrate is None else parse_amount(bitrate, "bitrate"),
        "target_psnr": target_psnr,
        "max_size": None if max_size is None else parse_amount(max_size, "max_size"),
    }
    return fields | _gop(keyint) if keyint else fields


def _gop(keyint: str) -> Fields:
    """The longest distance of key frames; one that is over the limit is noted and cut to it."""
    distance = parse_gop(keyint)
    if distance.frames is None:
        return {"gop": distance}
    if distance.frames > MAX_GOP:
        say(
            f"vqcodec: note: key frames are at most {MAX_GOP} frames apart, not {distance.frames}",
            messages.current().quiet,
        )
    return {"gop": min(MAX_GOP, distance.frames)}


def stretch(start: str | None, duration: str | None, end: str | None, frames: int | None) -> Fields:
    """What STRETCH says: the beginning and the length of what is taken."""
    begin = parse_time(start, "start") if start else None
    return {"start": begin, "duration": _length(begin, duration, end, frames)}


def _length(
    begin: Time | None, duration: str | None, end: str | None, frames: int | None
) -> Time | None:
    if frames is not None:
        if duration or end:
            raise UsageError("-frames:v (a length in frames), -t and -to exclude each other")
        return Time(frames=frames)
    if end and duration:
        raise UsageError("-t (a length) and -to (an end) exclude each other")
    if not end:
        return parse_time(duration, "duration") if duration else None
    last = parse_time(end, "end")
    if begin is None:
        return last
    if (last.frames is None) != (begin.frames is None):
        raise UsageError("-ss and -to must both be seconds or both be frames")
    if (last.frames or 0) < (begin.frames or 0) or (last.seconds or 0) < (begin.seconds or 0):
        raise UsageError("-to lies before -ss: both count from the beginning of the video")
    if last.seconds is not None and begin.seconds is not None:
        return Time(seconds=last.seconds - begin.seconds)
    return Time(frames=(last.frames or 0) - (begin.frames or 0))


def jobs(jobs: int | None) -> Fields:
    """What JOBS says."""
    return {} if jobs is None else {"jobs": jobs}


def is_spread(fields: Fields) -> bool:
    """Whether an encode is spread over processors and memory as they are: nobody says how."""
    return "jobs" not in fields and not fields["threads"]


def rate(rate: str | None) -> Fields:
    """What RATE says."""
    return {"rate": parse_rate(rate) if rate else None}


def colour(
    color_primaries: str | None,
    color_trc: str | None,
    colorspace: str | None,
    color_range: str | None,
) -> Fields:
    """What COLOUR says."""
    given = zip(
        (PRIMARIES, TRANSFERS, MATRICES, RANGES),
        (color_primaries, color_trc, colorspace, color_range),
        ("color_primaries", "color_trc", "colorspace", "color_range"),
        strict=True,
    )
    numbers = (
        None if text is None else number(names, text, option) for names, text, option in given
    )
    return {"colour": Colour(*numbers)}


def tracks(no_audio: bool, no_subtitles: bool, no_data: bool, maps: tuple[str, ...]) -> Fields:
    """What TRACKS say."""
    kinds = {"audio": no_audio, "subtitle": no_subtitles, "data": no_data}
    return {"tracks": TrackChoice(frozenset(kind for kind, off in kinds.items() if off), maps)}


def video_codec(vcodec: str | None, vcodec_opts: str, pix_fmt: str | None) -> Fields:
    """What VCODEC says."""
    options = parse_codec_options(vcodec_opts)
    return {"vcodec": vcodec, "vcodec_opts": options, "pix_fmt": pix_fmt}


def format_(format_: str | None) -> Fields:
    """What FORMAT says."""
    return {"format": format_}


def limits(
    max_pixels: int,
    max_packet: int,
    max_metadata: int,
    max_memory: int,
    max_frames: int,
    max_concealed: int,
) -> Limits:
    """What LIMITS say."""
    return Limits(
        pixels=max_pixels,
        packet=max_packet,
        metadata=max_metadata,
        memory=max_memory,
        frames=max_frames,
        concealed=max_concealed,
    )


def presets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of presets, for the completion of a shell."""
    return [name for name in PRESETS if name.startswith(incomplete)]
