"""The stream of pictures in an output of FFmpeg's, told all that the pictures say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
from av.container import OutputContainer
from av.filter.context import FilterContext
from av.video.stream import VideoStream

from ..container.description import FIELD_ORDERS, Description
from ..errors import UsageError
from ..options import MAX_RATE
from . import chroma_siting, field_order
from .encoder_options import DEFAULTS, IN_ORDER, combined, hdr_options, of_processor, of_size
from .frames import matrix_of
from .output import Output, OutputChoice

_HOLDS_SAR = {"libx264", "libx265", "mpeg4", "mpeg2video", "h264", "hevc"}
_SLOWEST = Fraction(1, 86400)  # frames a second; less is no rate, but a fault
_SVT_FASTEST = Fraction(240)
_TIMES_ONLY = Fraction(1000)  # the rate of pictures that have none


class EncoderStream(NamedTuple):
    """A stream that frames can be encoded for."""

    stream: VideoStream
    graph: FrameFilters
    warnings: list[str]  # what codec and kind of file cannot hold


class FrameFilters:
    """Filters that tell each frame what PyAV cannot: which field is first, and its aspect."""

    def __init__(self, output: Output, chain: Sequence[tuple[str, str]]) -> None:
        self._first: FilterContext | None = None
        if not chain:
            return
        graph = av.filter.Graph()
        self._first = self._last = graph.add_buffer(
            width=output.header.width,
            height=output.header.height,
            format=av.VideoFormat(output.pixel_format),
            time_base=output.base,
        )
        for name, options in (*chain, ("buffersink", "")):
            step = graph.add(name, options)
            self._last.link_to(step)
            self._last = step
        graph.configure()
        self._graph = graph  # which the steps live in

    def told(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, as it went through the filters."""
        if self._first is None:
            return frame
        self._first.push(frame)
        pulled = self._last.pull()
        assert isinstance(pulled, av.VideoFrame)
        return pulled


def add_stream(
    container: OutputContainer,
    output: Output,
    description: Description,
    choice: OutputChoice,
    in_order: bool,
) -> EncoderStream:
    """Add the pictures' stream to an output that was not started.

    ``in_order`` keeps the encoder from reordering pictures. UsageError for what is impossible.
    """
    header, warnings = output.header, list[str]()
    options = _options(output, description, in_order, warnings)
    stream = container.add_stream(
        output.codec, rate=rate_of(output), options=combined([*options, choice.vcodec_opts])
    )
    if not isinstance(stream, VideoStream):
        raise UsageError(f"{output.codec} is no codec of pictures", file=output.path)
    stream.width, stream.height, stream.pix_fmt = header.width, header.height, output.pixel_format
    context = stream.codec_context
    context.time_base = stream.time_base = output.base
    if header.sar:
        context.sample_aspect_ratio = header.sar
    context.color_primaries, context.color_trc = header.primaries, header.transfer
    context.colorspace = matrix_of(output.pixel_format, header)
    context.color_range = header.range
    chain = [*_fields(output, stream, description.field_order, warnings), *_sar(output, warnings)]
    if choice.threads:
        context.thread_count = choice.threads
    return EncoderStream(stream, FrameFilters(output, chain), warnings)


def check_options(output: Output, stream: VideoStream, choice: OutputChoice) -> None:
    """UsageError for options of the choice that the codec of a started output did not know."""
    # what the codec took is gone from its options by now
    if unknown := sorted(choice.vcodec_opts.keys() & stream.codec_context.options.keys()):
        raise UsageError(
            f"{output.codec} has no option {', '.join(unknown)}; "
            f"ffmpeg -h encoder={output.codec} lists those it has",
            file=output.path,
        )


def rate_of(output: Output) -> Fraction:
    """Frames a second, by which encoders spend bits; when pictures are shown, their times say."""
    header = output.header
    rate = min(_TIMES_ONLY, max(Fraction(1), 1 / header.time_base))
    if header.rate and _SLOWEST <= header.rate <= MAX_RATE:
        rate = header.rate
    return min(rate, _SVT_FASTEST) if output.codec == "libsvtav1" else rate


def _options(
    output: Output, description: Description, in_order: bool, warnings: list[str]
) -> list[dict[str, str]]:
    """Options of the encoder that follow from the pictures; later ones say more."""
    codec, header = output.codec, output.header
    options = [
        DEFAULTS.get(codec, {}),
        of_processor(codec),
        of_size(codec, header.width, header.height),
    ]
    if output.pixel_format.startswith("yuv420p"):
        options.append(chroma_siting.encoder_options(header.chroma_location))
    if description.mastering or description.light:
        hdr = hdr_options(codec, description)
        if hdr is None:
            warnings.append(
                f"{codec} cannot write the HDR data (mastering display, content light level)"
            )
        options.append(hdr or {})
    if in_order:
        options.append(IN_ORDER.get(codec, {}))
    if description.field_order and field_order.codes_fields(codec, header.height):
        options.append(field_order.encoder_options(codec, description.field_order))
    return options


def _fields(
    output: Output, stream: VideoStream, order: int, warnings: list[str]
) -> list[tuple[str, str]]:
    """Filters that tell which field is first; the container is told too."""
    if order:
        # PyAV 17 cannot tell the container; codecs that code fields say it in the pictures
        can = hasattr(stream.codec_context, "field_order")
        if can:
            stream.codec_context.field_order = field_order.CONTAINERS[order]
        suffix = output.suffix if can else ""
        if not field_order.is_told(output.codec, suffix, output.header.height):
            warnings.append(
                f"{output.suffix} with {output.codec} does not say that the pictures are "
                f"interlaced ({FIELD_ORDERS[order]})"
            )
    return field_order.filters(order)


def _sar(output: Output, warnings: list[str]) -> list[tuple[str, str]]:
    """Filters that tell the aspect ratio, where it must lie in the coded pictures.

    PyAV doesn't tell Matroska's muxer of it.
    """
    sar = output.header.sar
    if not sar or output.suffix not in (".mkv", ".webm") or output.codec in _HOLDS_SAR:
        return []
    if output.codec == "ffv1":
        return [("setsar", f"{sar.numerator}/{sar.denominator}")]
    if sar != 1:
        warnings.append(
            f"{output.codec} in {output.suffix} holds no aspect ratio: that of the pictures, "
            f"{sar}, is lost"
        )
    return []
