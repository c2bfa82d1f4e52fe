"""Which tags are kept, of the file, its tracks and its pictures."""

from __future__ import annotations

from itertools import islice

from ..container.description import Tags

# what a muxer writes by itself, about the file that it writes
_MUXERS_OWN = {"encoder", "duration", "major_brand", "minor_version", "compatible_brands"}
MAX_TAGS = 2000  # FFmpeg's dictionaries are lists: time goes by the square of their length
_STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_")


# what .mp4 has a place for without FFmpeg's movflags use_metadata_tags
_MP4_TAGS = {
    "title",
    "artist",
    "album_artist",
    "composer",
    "album",
    "date",
    "comment",
    "genre",
    "copyright",
    "grouping",
    "lyrics",
    "description",
    "synopsis",
    "show",
}


_MP4_TAGS |= {
    "episode_id",
    "network",
    "keywords",
    "track",
    "disc",
    "compilation",
    "hd_video",
    "media_type",
    "creation_time",
    "location",
    "performer",
    "season_number",
}


def file_tags(tags: Tags) -> Tags:
    """Tags without those that a muxer writes by itself; of very many the first."""
    kept = ((k, v) for k, v in tags.items() if k.lower() not in _MUXERS_OWN)
    return dict(islice(kept, MAX_TAGS))


def track_tags(tags: Tags) -> Tags:
    """Tags of a track that is copied; its encoder is still the same. What is a title in Matroska is
    read as a name from mp4."""
    kept = dict(islice(((k, v) for k, v in tags.items() if k.lower() != "duration"), MAX_TAGS))
    return kept if "title" in kept or "name" not in kept else {"title": kept.pop("name")} | kept


def picture_tags(tags: Tags) -> Tags:
    """Tags of a picture track without those that were about its old encoding."""
    return {k: v for k, v in file_tags(tags).items() if not k.lower().startswith(_STATISTICS)}


def mp4_flags(tags: Tags) -> str:
    """Flags of the mp4 muxer that let it keep all these tags."""
    return "+faststart" + (
        "+use_metadata_tags" if {k.lower() for k in file_tags(tags)} - _MP4_TAGS else ""
    )
