"""Suffixes of files that hold video."""

from __future__ import annotations

CODED = ".vqv"


# what FFmpeg names video files by; in folders all else is passed over
VIDEO = frozenset(
    ".264 .265 .3g2 .3gp .amv .asf .avi .divx .dv .dvr-ms .evo .f4v .flc .fli .flv .gxf .h264 "
    ".h265 .hevc .ismv .ivf .m1v .m2p .m2t .m2ts .m2v .m4v .mj2 .mjpeg .mjpg .mkv .mov .mp4 "
    ".mpe .mpeg .mpg .mts .mxf .nut .obu .ogm .ogv .qt .rm .rmvb .roq .swf .tod .tp .trp .ts "
    ".vc1 .vob .vro .webm .wmv .wtv .xvid .y4m".split()
)

# of media files that are no videos, or moving pictures of a kind of their own
OTHER = frozenset(
    ".aac .ac3 .aif .aiff .amr .apng .avif .bmp .dts .eac3 .flac .gif .heic .heif .jpeg .jpg .jxl "
    ".m4a .m4b .mka .mks .mp2 .mp3 .mpa .oga .ogg .opus .png .tif .tiff .wav .webp .wma "
    ".yuv".split()
)
