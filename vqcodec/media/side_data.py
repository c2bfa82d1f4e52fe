"""What lies in coded pictures besides the pictures: which of it is kept, harmless, or left out."""

from __future__ import annotations

import sys
from typing import Any

from av.sidedata.sidedata import Type

CAPTIONS = "A53_CC"
MATRIX, MASTERING, LIGHT = "DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"
_KEPT = {CAPTIONS, MATRIX, MASTERING, LIGHT}
# hints for encoders, settings of the encoder that made the pictures, and what decoders have applied
_HARMLESS = {
    "DETECTION_BBOXES",
    "FILM_GRAIN_PARAMS",
    "GOP_TIMECODE",
    "MOTION_VECTORS",
    "REGIONS_OF_INTEREST",
    "SEI_UNREGISTERED",
    "VIDEO_ENC_PARAMS",
    "VIDEO_HINT",
}
_HDR = "dynamic HDR data (HDR10+, Dolby Vision) is left out"
# without these a player shows something else
_LOST = {
    "SPHERICAL": "360 degree metadata is left out: players will show the pictures flat",
    "STEREO3D": "3D metadata is left out: players will show both views side by side, or one",
}
_VIEW = "29"  # AV_FRAME_DATA_VIEW_ID
_POSITIONS = slice(12, 24)  # of AVPanScan: behind id, width and height
_RECTILINEAR = 4  # AV_SPHERICAL_RECTILINEAR
_LEFT_OUT = {
    "AFD": "the active format description is left out",
    "AMBIENT_VIEWING_ENVIRONMENT": "the ambient viewing environment is left out",
    "DOVI_METADATA": _HDR,
    "DOVI_RPU_BUFFER": _HDR,
    "DYNAMIC_HDR_PLUS": _HDR,
    "DYNAMIC_HDR_VIVID": _HDR,
    "ICC_PROFILE": "the colour profile (ICC) is left out",
    "PANSCAN": "pan and scan windows are left out",
    "S12M_TIMECODE": "timecodes of the pictures are left out",
    _VIEW: "the pictures are one view of several (3D); the others are left out",
    "30": "3D reference displays are left out",
    "31": "EXIF data is left out",
}


def _unnamed(cls: Any, value: object) -> Any:
    """A member for a kind that PyAV has no name for; without it no kind of the frame can be
    read."""
    made = object.__new__(cls)
    made._name_, made._value_ = str(value), value
    return made


Type._missing_ = classmethod(_unnamed)  # type: ignore[method-assign,assignment]


def side_data(frame: Any) -> dict[str, Any]:
    """Side data of a frame by the names of its kinds, or their numbers where they have none.

    Pan and scan windows in the middle of the picture are passed over: MPEG-2 has them nearly
    always, and they say nothing but its size.
    """
    found = {data.type.name: data for data in frame.side_data}
    if "PANSCAN" in found and not any(bytes(found["PANSCAN"])[_POSITIONS]):
        del found["PANSCAN"]
    return found


def shown_otherwise(found: dict[str, Any]) -> list[str]:
    """Names of side data whose loss may change what a player shows.

    A picture of one view of several is whole by itself, and a flat (rectilinear) projection is how
    every player shows a picture: neither needs what says so (AVSphericalMapping begins with its
    projection).
    """
    names = set(found)
    if _VIEW in names:
        names.discard("STEREO3D")
    if "SPHERICAL" in names and bytes(found["SPHERICAL"])[:4] == _RECTILINEAR.to_bytes(
        4, sys.byteorder
    ):
        names.discard("SPHERICAL")
    return [name for name in found if name in names]


class Losses:
    """What of the side data of pictures goes without being kept, told once for each kind."""

    def __init__(self) -> None:
        self._known = _KEPT | _HARMLESS
        self.left_out: list[str] = []
        self.lost: list[str] = []

    def see(self, names: Any) -> None:
        """Side data that a frame has."""
        for name in names:
            if name not in self._known:
                self._known.add(name)
                told = self.lost if name in _LOST else self.left_out
                default = f"side data of the pictures ({name.lower()}) is left out"
                text = _LOST.get(name) or _LEFT_OUT.get(name, default)
                if text not in told:
                    told.append(text)
