"""Suffixes of files that hold video."""

from __future__ import annotations

CODED = ".vqv"


# what FFmpeg names video files by; in folders all else is passed over
VIDEO = frozenset(
    ".264 .265 .3g2 .3gp .asf .avi .dv .f4v .flv .gxf .h264 .h265 .hevc .ivf .m1v .m2t .m2ts .m2v "
    ".m4v .mj2 .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .obu "
    ".ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m".split()
)

# of media files that are no videos, or moving pictures of a kind of their own
OTHER = frozenset(
    ".aac .ac3 .aif .aiff .apng .avif .bmp .flac .gif .heic .heif .jpeg .jpg .jxl .m4a .mka .mks "
    ".mp2 .mp3 .oga .ogg .opus .png .tif .tiff .wav .webp .wma".split()
)
