"""How a track is described: a sample file of one packet, or its codec parameters."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import partial

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from ..container.tracks import PARAMETERS, Parameters
from .inputs import SAMPLE_FORMATS, open_sample
from .muxer_trial import FAILED
from .wave import wave_format

# packets, and bytes of them, among which the first that describes its track is looked for
TRIES, DESCRIBED_BY = 64, 1 << 20
_TTA_HEAD = 14
# packets in a row by which FFmpeg knows a codec in a transport stream that has no sign of its own
# there: LATM needs 3, DTS 8
KNOWN_BY = {"mpegts": 8}
_SAMPLES = [(name, 1) for name in SAMPLE_FORMATS] + list(KNOWN_BY.items())
_GUESSED = {
    f"{count} channels": layout
    for count, layout in enumerate(
        ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1"), start=1
    )
}
Add = Callable[[OutputContainer], Stream]  # adds a stream to a file


class NamedBytes(io.BytesIO):
    """A file in memory; the suffix of its ``name`` tells FFmpeg a variant of its kind."""

    name = ""


def file_of_one(
    add: Add,
    base: Fraction,
    data: bytes,
    name: str,
    duration: int = 0,
    times: int = 1,
    suffix: str = "",
) -> io.BytesIO:
    """A file of the kind ``name`` with nothing but one packet of the stream that ``add`` adds, so
    many ``times``."""
    buffer = NamedBytes()
    buffer.name = "one" + suffix
    with av.open(buffer, "w", format=name, options={"fflags": "+bitexact"}) as out:
        copy = add(out)
        copy.metadata.clear()
        for i in range(times):
            packet = av.Packet(data)
            packet.stream, packet.time_base = copy, base
            packet.pts = packet.dts = i * max(1, duration)
            packet.duration, packet.is_keyframe = duration, True
            out.mux(packet)
    return buffer


def stream_like(stream: Stream, out: OutputContainer) -> Stream:
    """Add a stream as another one is."""
    try:
        return out.add_stream_from_template(stream)
    except FAILED:  # of pictures that FFmpeg cannot encode, only its decoder is known
        if stream.type != "video":
            raise
        return out.add_stream_from_template(stream, opaque=True)


def stream_laid_out(stream: Stream, out: OutputContainer) -> Stream:
    """Add a stream as another one is, with FFmpeg's usual layout where only the number of channels
    is known: .mp4 and .mov say where the channels of uncompressed sound belong."""
    copy = stream_like(stream, out)
    context = copy.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name in _GUESSED:
        context.layout = _GUESSED[context.layout.name]
    return copy


def sample_of(stream: Stream, packet: Packet[Stream]) -> tuple[str, bytes] | None:
    """Kind and bytes of a small file with one packet.

    All codec parameters can be read from it again; None where no kind of file does that.
    """
    data = bytes(packet)
    for name, times in _SAMPLES:
        if name == "nut" and wave_of(stream, data):
            continue  # it loses the size of blocks, which WAVEFORMATEX has
        try:
            add, length = partial(stream_like, stream), packet.duration or 0
            sample = file_of_one(add, packet.time_base, data, name, length, times).getvalue()
            with open_sample(name, sample) as back:
                if (
                    len(back.streams) == 1
                    and _parameters(back.streams[0]) == _parameters(stream)
                    and data in [bytes(p) for p in back.demux()]
                ):
                    return name, sample
        except FAILED:
            continue
    return None


def wave_of(stream: Stream, data: bytes) -> bytes:
    """The WAVEFORMATEX of a stream, empty where it has none."""
    if stream.type == "audio" and stream.codec_context is not None:
        with suppress(*FAILED):
            return wave_format(stream, data)
    return b""


def last_resort(stream: Stream, packet: Packet[Stream]) -> tuple[str, bytes]:
    """The codec parameters by themselves, as far as PyAV tells them."""
    context = stream.codec_context
    made = Parameters(
        getattr(context, "sample_rate", None) or 0,
        getattr(getattr(context, "layout", None), "name", ""),
        getattr(context, "width", None) or 0,
        getattr(context, "height", None) or 0,
        getattr(context, "extradata", None) or b"",
        wave_of(stream, bytes(packet)),
        bytes(packet) if packet.size <= DESCRIBED_BY // 2 else b"",
    )
    return PARAMETERS, made.to_bytes()


def name_of(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec, empty where it has none; that of MPEG audio without the
    numbers that its decoder counts in (mp3float)."""
    context = stream.codec_context
    name = (context.name if context is not None else getattr(stream, "name", None)) or ""
    return name.removesuffix("float")


def codec_of(kind: str, name: str) -> tuple[str, str]:
    """Kind and codec; the two layers of MPEG audio that mp4 doesn't tell apart are one."""
    return kind, "mpeg audio" if name in ("mp2", "mp3") else name


def _parameters(stream: Stream) -> tuple[object, ...]:
    """What must be the same for two streams to be of the same kind."""
    context = stream.codec_context
    if context is None:
        return stream.type, getattr(stream, "name", None)
    values = [
        getattr(context, name, None) for name in ("sample_rate", "width", "height", "profile")
    ]
    layout = getattr(getattr(context, "layout", None), "name", None)
    extradata = context.extradata
    if context.name == "tta" and extradata:
        extradata = extradata[:_TTA_HEAD]  # then the length, which the muxer writes anew
    return stream.type, context.name, extradata, layout, *values
