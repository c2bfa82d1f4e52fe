"""Interlaced pictures: which field is shown first, read of frames and told to outputs."""

from __future__ import annotations

from fractions import Fraction

import av
import av.error
import av.filter

from ..container.description import BOTTOM, TOP

# what a container calls it, as ffmpeg writes it: FFmpeg's AV_FIELD_TB and AV_FIELD_BT
CONTAINERS = {TOP: 4, BOTTOM: 5}
_SETFIELD = {TOP: "tff", BOTTOM: "bff"}
Y4M = {TOP: "t", BOTTOM: "b"}
_CODE_FIELDS = {"libx264", "mpeg2video", "mpeg4", "prores", "prores_ks", "dnxhd"}


def field_order(frame: av.VideoFrame) -> int:
    """TOP, BOTTOM, or 0 for a frame that isn't interlaced. PyAV doesn't tell; a filter does."""
    if not frame.interlaced_frame:
        return 0
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )
    select, end = graph.add("select", "eq(interlace_type,TOPFIRST)"), graph.add("buffersink")
    source.link_to(select)
    select.link_to(end)
    graph.configure()
    source.push(frame)
    try:
        graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return BOTTOM
    return TOP


def filters(order: int) -> list[tuple[str, str]]:
    """What tells the frames of an output."""
    return [("setfield", _SETFIELD[order])] if order in _SETFIELD else []


def encoder_options(codec: str, order: int) -> dict[str, str]:
    """Options of an encoder that codes fields.

    x264 begins with the top field: frames that say otherwise change what it tells of their timing,
    but not the order of display that its fields have."""
    told = {"x264-params": f"{_SETFIELD[order]}=1"} if codec == "libx264" else {}
    return {"flags": "+ildct+ilme"} | told


def codes_fields(codec: str, height: int) -> bool:
    """Whether an encoder can code fields by themselves, which says that there are some."""
    return codec in _CODE_FIELDS and height % 4 == 0  # fields of 4:2:0 need that


def is_told(codec: str, suffix: str, height: int) -> bool:
    """Whether an output says which field is first: its pictures do, or its container."""
    return codes_fields(codec, height) or codec == "ffv1" or suffix in (".mkv", ".mov")
