"""Video files with everything that files may hold, made with PyAV, and listings of what is in a
file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

ASS = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour\nStyle: Default,Arial,16,&Hffffff\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
CHAPTERS = [(0, 400, "One"), (400, 1000, "Zw\u00f6i \U0001f3ac")]


class Sound(NamedTuple):
    codec: str = "aac"
    rate: int = 44100
    layout: str = "stereo"
    tags: dict[str, str] = {}
    disposition: int = 0
    begin: float = 0.0  # seconds


def picture(width: int, height: int, i: int, fmt: str) -> av.VideoFrame:
    """A moving ramp in any pixel format."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([(x * 3 + 5 * i) % 256, (y * 4 + 2 * i) % 256, (x + y + 7 * i) % 256], 2).astype(
        np.uint8
    )
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format=fmt, dst_colorspace=5, dst_color_range=1
    )


def _once(make: Callable[..., Path]) -> Callable[..., Path]:
    """The same file of before, where one of this name was asked for with the same words."""
    made: dict[tuple[str, str], bytes] = {}

    @wraps(make)
    def made_or_copied(path: Path, **words: Any) -> Path:
        key = path.name, repr(words)
        if key in made:
            path.write_bytes(made[key])
        else:
            made[key] = make(path, **words).read_bytes()
        return path

    return made_or_copied


@_once
def make(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 25,
    fmt: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: int = 25,
    base: Fraction | None = None,
    times: list[int] | None = None,
    tags: dict[str, str] | None = None,
    video_tags: dict[str, str] | None = None,
    chapters: bool = False,
    sounds: tuple[Sound, ...] = (),
    subtitles: tuple[tuple[str, dict[str, str]], ...] = (),
    attachments: tuple[tuple[str, str, bytes], ...] = (),
    cover: bool = False,
    data: str = "",
    rotation: int = 0,
    matrix: tuple[int, ...] | None = None,
    sar: Fraction | None = None,
    colour: tuple[int, int, int, int] | None = None,
    format_options: dict[str, str] | None = None,
) -> Path:
    """Write a file of the kind of the suffix of ``path``; times in ticks of ``base``."""
    with av.open(str(path), "w", options=format_options or {}) as out:
        out.metadata.update(tags or {})
        if chapters:
            out.set_chapters(_chapters())
        video: Any = out.add_stream(codec, rate=rate, options=options or {})
        video.width, video.height, video.pix_fmt = *size, fmt
        if base:
            video.codec_context.time_base = video.time_base = base
        if sar:
            video.codec_context.sample_aspect_ratio = sar
        if colour:
            _colour(video.codec_context, colour)
        if matrix:
            video.set_display_matrix(matrix)
        elif rotation:
            video.set_display_rotation(-rotation % 360)
        video.metadata.update(video_tags or {})
        voices = [_sound_stream(out, sound) for sound in sounds]
        texts = [(name, _text_stream(out, name, meta)) for name, meta in subtitles]
        for name, mime, content in attachments:
            out.add_attachment(name, mime, content)
        extra = _data_stream(out, data) if data else None
        packets: list[Any] = [_cover(out)] if cover else []
        step = round(1 / (rate * base)) if base else 1
        for i in range(frames):
            frame = picture(*size, i, fmt)
            frame.pts, frame.time_base = times[i] if times else i * step, base or Fraction(1, rate)
            if colour:
                _colour(frame, colour)
            packets += video.encode(frame)
        packets += video.encode(None)
        length = (times[frames - 1] * float(base or 0) if times else frames / rate) + 0.04
        for number, (sound, voice) in enumerate(zip(sounds, voices, strict=True)):
            packets += _sound(sound, voice, length, number)
        packets += [_text(name, stream, i) for name, stream in texts for i in range(3)]
        packets += [_datum(extra, i) for i in range(4) if extra is not None]
        # the first packets of all tracks in the order of their times, as muxers like it
        packets.sort(key=lambda p: (p.dts if p.dts is not None else p.pts or 0) * p.time_base)
        for packet in packets:
            out.mux(packet)
    return path


def _chapters() -> list[Any]:
    return [
        {
            "id": number,
            "start": start,
            "end": end,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": title},
        }
        for number, (start, end, title) in enumerate(CHAPTERS, 1)
    ]


def _colour(target: Any, colour: tuple[int, int, int, int]) -> None:
    """Name the colours of a coder or a frame: primaries, transfer, matrix, range."""
    target.color_primaries, target.color_trc, target.colorspace, target.color_range = colour


def _sound_stream(out: Any, sound: Sound) -> Any:
    stream = out.add_stream(sound.codec, rate=sound.rate)
    stream.codec_context.layout = sound.layout
    if sound.codec.startswith("wma"):
        stream.codec_context.bit_rate = 128_000  # FFmpeg's encoder has none of its own
    stream.metadata.update(sound.tags)
    stream.disposition = sound.disposition
    return stream


def _text_stream(out: Any, name: str, meta: dict[str, str]) -> Any:
    if name in ("ass", "mov_text"):
        stream = out.add_stream(name)
        stream.codec_context.subtitle_header = ASS
    else:
        stream = out.add_mux_stream(name)
    stream.time_base = Fraction(1, 1000)
    stream.metadata.update(meta)
    return stream


def _data_stream(out: Any, name: str) -> Any:
    stream = out.add_data_stream(name)
    stream.time_base = Fraction(1, 90000)
    return stream


def _datum(stream: Any, i: int) -> Any:
    """A tag of ID3, four a second."""
    packet = av.Packet(b"ID3\x04\0\0\0\0\0\x0aTXXX%06d" % i)
    packet.stream, packet.time_base = stream, Fraction(1, 90000)
    packet.pts = packet.dts = 22500 * i
    packet.duration = 22500
    return packet


def _cover(out: Any) -> Any:
    image = out.add_stream("png", rate=25)
    image.width = image.height = 16
    image.pix_fmt = "rgb24"
    image.disposition = 1 << 10
    frame = picture(16, 16, 3, "rgb24")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return next(iter(image.encode(frame)))


def _sound(s: Sound, stream: Any, length: float, number: int) -> list[Any]:
    packets: list[Any] = []
    samples = int(length * s.rate)
    t = np.arange(samples) / s.rate
    wave = (6000 * np.sin(2 * np.pi * (330 + 110 * number) * t)).astype(np.int16)
    channels = av.AudioLayout(s.layout).nb_channels
    resampler = av.AudioResampler(stream.codec_context.format, s.layout, s.rate)
    block = 1024
    for at in range(0, samples, block):
        part = np.repeat(wave[at : at + block], channels)[None, :]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "s16", s.layout)
        frame.sample_rate, frame.pts, frame.time_base = (
            s.rate,
            at + int(s.begin * s.rate),
            Fraction(1, s.rate),
        )
        for f in resampler.resample(frame):
            packets += stream.encode(f)
    return packets + stream.encode(None)


def _text(name: str, stream: Any, i: int) -> Any:
    words = f"Line {i} \u00e4\u6f22".encode()
    if name == "ass":
        words = b"%d,0,Default,,0,0,0,," % i + words
    elif name == "mov_text":
        words = len(words).to_bytes(2, "big") + words
    p = av.Packet(words)
    p.stream, p.time_base = stream, Fraction(1, 1000)
    p.pts = p.dts = 100 + 300 * i
    p.duration, p.is_keyframe = 250, True
    return p


HDR = (
    "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):"
    "cll=1000,400"
)
TWO = (
    Sound(tags={"language": "deu", "title": "Deutsch"}, disposition=1),
    Sound("libopus", 48000, tags={"language": "eng"}, disposition=1 << 3),
)
VFR = [0, 40, 80, 95, 200, 201, 260, 1000, 1001, 1700]

# name: how it is made. The tests and tools/roundtrip.py go through all of them.
FILES: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "no_audio.mkv": {},
    "b_frames.mp4": {"options": {"bf": "3", "b-pyramid": "normal", "g": "12"}},
    "long_gop.mkv": {"frames": 150, "options": {"g": "150"}, "sounds": (Sound(),)},
    "two_audio.mkv": {"sounds": TWO},
    "two_audio.mp4": {"sounds": (TWO[0], Sound("libmp3lame", tags={"language": "eng"}))},
    "all.mkv": {
        "sounds": TWO,
        "subtitles": (
            ("ass", {"language": "deu"}),
            ("subrip", {"language": "eng", "title": "Full"}),
        ),
        "attachments": (
            ("a font.ttf", "font/ttf", bytes(range(256)) * 9),
            ("notes.txt", "text/plain", b"text"),
        ),
        "chapters": True,
        "tags": {"title": "A \u6f22 film", "ARTIST": "Somebody", "MOOD": "two\nlines"},
        "video_tags": {"language": "fra", "title": "Pictures"},
    },
    "all.mp4": {
        "sounds": (TWO[0],),
        "subtitles": (("mov_text", {"language": "deu"}),),
        "chapters": True,
        "tags": {"title": "A film", "artist": "Somebody"},
        "video_tags": {"language": "fra"},
        "cover": True,
    },
    "own_tags.mov": {
        "sounds": (Sound("pcm_s16le", 48000),),
        "tags": {"title": "T", "com.example.camera": "X100"},
        "format_options": {"movflags": "use_metadata_tags"},
    },
    "cover.mp4": {"cover": True, "sounds": (Sound("flac"),)},
    "surround.mkv": {
        "sounds": (Sound("ac3", 48000, "5.1(side)"), Sound("pcm_s24le", 48000, "mono"))
    },
    "broadcast.ts": {
        "sounds": (Sound("mp2", 48000, tags={"language": "deu"}), Sound("aac")),
        "data": "timed_id3",
        "base": Fraction(1, 90000),
    },
    "vfr.mkv": {"base": Fraction(1, 1000), "times": VFR, "frames": len(VFR), "sounds": (Sound(),)},
    "vfr.mp4": {"base": Fraction(1, 1000), "times": VFR, "frames": len(VFR), "sounds": (Sound(),)},
    "negative.mkv": {
        "base": Fraction(1, 1000),
        "times": [-80 + 40 * i for i in range(25)],
        "codec": "ffv1",
        "format_options": {"avoid_negative_ts": "disabled"},
    },
    "hidden.mp4": {
        "base": Fraction(1, 12800),
        "times": [-512 * 4 + 512 * i for i in range(25)],
        "sounds": (Sound(),),
    },
    "late.mkv": {
        "base": Fraction(1, 1000),
        "times": [700 + 40 * i for i in range(25)],
        "sounds": (Sound(),),
    },
    "edit_list.mp4": {
        "base": Fraction(1, 12800),
        "times": [6400 + 512 * i for i in range(25)],
        "sounds": (Sound(),),
    },
    "phone.mp4": {
        "rotation": 90,
        "size": (48, 64),
        "sounds": (Sound(),),
        "tags": {"creation_time": "2024-05-06T07:08:09.000000Z", "location": "+48.1+011.5/"},
    },
    "mirrored.mp4": {"matrix": (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)},
    "anamorphic.mkv": {"sar": Fraction(64, 45)},
    "hdr10.mkv": {
        "fmt": "yuv420p10le",
        "colour": (9, 16, 9, 1),
        "options": {"x264-params": HDR},
        "sounds": (Sound(),),
    },
    "ten_bit.mp4": {
        "fmt": "yuv420p10le",
        "codec": "libx265",
        "options": {"x265-params": "log-level=error"},
    },
    "full_range.mp4": {"fmt": "yuvj420p", "colour": (1, 1, 1, 2)},
    "chroma422.mkv": {"fmt": "yuv422p", "codec": "ffv1"},
    "chroma444.mkv": {"fmt": "yuv444p10le", "codec": "ffv1"},
    "gray.mkv": {"fmt": "gray", "codec": "ffv1"},
    "rgb.mkv": {"fmt": "bgr0", "codec": "ffv1", "sounds": (Sound("flac"),)},
    "interlaced.ts": {
        "options": {"flags": "+ildct+ilme", "x264-params": "tff=1"},
        "base": Fraction(1, 90000),
    },
    "odd.mkv": {"size": (35, 21), "codec": "ffv1"},
    "one_frame.mp4": {"frames": 1},
    "web.webm": {
        "codec": "libvpx-vp9",
        "options": {"deadline": "realtime", "cpu-used": "8"},
        "sounds": (Sound("libopus", 48000),),
    },
    "plain.y4m": {"codec": "wrapped_avframe"},
}


# sound and texts that PyAV's muxers refuse, or whose small files say something else: how they
# are made, and where they go to
RARE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "wma2.wmv": ({"codec": "wmv2", "sounds": (Sound("wmav2"),)}, (".mkv",)),
    "wma1.wmv": ({"codec": "wmv2", "sounds": (Sound("wmav1", 22050, "mono"),)}, (".mkv",)),
    "ima.avi": ({"options": {"bf": "0"}, "sounds": (Sound("adpcm_ima_wav"),)}, (".mkv",)),
    "ms.avi": ({"options": {"bf": "0"}, "sounds": (Sound("adpcm_ms", 22050, "mono"),)}, (".mkv",)),
    "yamaha.avi": ({"options": {"bf": "0"}, "sounds": (Sound("adpcm_yamaha"),)}, (".mkv",)),
    "swf.flv": ({"codec": "flv", "sounds": (Sound("adpcm_swf"),)}, (".mkv",)),
    "g726.avi": ({"options": {"bf": "0"}, "sounds": (Sound("g726", 8000, "mono"),)}, (".mkv",)),
    "tta.mkv": ({"sounds": (Sound("tta"),)}, (".mkv",)),
    "dvd.vob": ({"codec": "mpeg2video", "sounds": (Sound("pcm_dvd", 48000),)}, ()),
    "disc.m2ts": ({"sounds": (Sound("pcm_bluray", 48000),)}, ()),
    "vtt.mkv": ({"subtitles": (("webvtt", {"language": "deu"}),)}, (".mkv",)),
    "alaw.mov": ({"sounds": (Sound("pcm_alaw", 8000, "mono"),)}, (".mkv", ".mov")),
    "klv.ts": ({"data": "klv", "base": Fraction(1, 90000)}, (".ts",)),
    "latm.ts": (
        {
            "sounds": (Sound("aac", 48000),),
            "base": Fraction(1, 90000),
            "format_options": {"mpegts_flags": "latm"},
        },
        (".ts", ".mkv"),
    ),
}


def make_named(folder: Path, name: str) -> Path:
    """The file of that name in FILES or RARE."""
    return make(folder / name, **(FILES[name] if name in FILES else RARE[name][0]))


def md5(parts: Any) -> str:
    """Of the parts one after the other."""
    h = hashlib.md5()
    for part in parts:
        h.update(part)
    return h.hexdigest()


def DROPPED(key: str) -> bool:
    return key.lower() in (
        "encoder",
        "duration",
        "major_brand",
        "minor_version",
        "compatible_brands",
    )


def _extradata(context: Any) -> bytes | None:
    data: bytes | None = context.extradata
    # mp4's muxer adds a box of the bit rate to the style of texts each time
    return data.split(b"\0\0\0\x14btrt")[0] if data and context.name == "mov_text" else data


def listing(path: Path) -> dict[str, Any]:
    """What is in a file besides coded pictures: times of frames, tracks with the MD5 of their
    packets and their times, tags, chapters, properties."""
    with av.open(str(path)) as c:
        streams = list(c.streams)
        pictures = sorted(
            (s for s in streams if s.type == "video"),
            key=lambda s: bool(int(s.disposition) & 1 << 10),
        )[0]
        packets: dict[int, list[Any]] = {s.index: [] for s in streams}
        for p in c.demux():
            if p.size:
                packets[p.stream_index].append(p)
        index = pictures.index
        result: dict[str, Any] = {
            "tags": {k.lower(): v for k, v in c.metadata.items() if not DROPPED(k)},
            "video_tags": {k.lower(): v for k, v in pictures.metadata.items() if not DROPPED(k)},
            "disposition": int(pictures.disposition),
            "chapters": [
                (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title"))
                for c in c.chapters()
            ],
            "tracks": [],
        }
        for s in streams:
            if s is pictures or (s.type == "data" and int(s.discard) >= 48):
                continue
            entry: dict[str, Any] = {
                "kind": s.type,
                "tags": {k.lower(): v for k, v in s.metadata.items() if not DROPPED(k)},
                "disposition": int(s.disposition),
            }
            if s.type == "attachment":
                entry |= {"md5": md5([s.data]), "count": 1, "times": []}  # type: ignore[attr-defined]
            else:
                got = packets[s.index]
                cover = int(s.disposition) & 1 << 10
                context: Any = s.codec_context
                entry |= {
                    "codec": context.name if context else getattr(s, "name", None),
                    "md5": md5(bytes(p) for p in got),
                    "each": [md5([bytes(p)]) for p in got],
                    "count": len(got),
                    "times": []
                    if cover
                    else [
                        (
                            p.pts * p.time_base,
                            p.duration * p.time_base if s.type == "subtitle" else 0,
                        )
                        for p in got
                    ],
                    "parameters": [getattr(context, n, None) for n in ("sample_rate", "channels")]
                    + [_extradata(context)]
                    if context
                    else [],
                }
            result["tracks"].append(entry)
    with av.open(str(path)) as c:
        stream: Any = c.streams[index]
        times, first = [], None
        for f in c.decode(stream):
            first = first or f
            times.append(f.pts * f.time_base if f.pts is not None else None)
        side = {d.type.name: bytes(d).hex() for d in first.side_data} if first is not None else {}
        result |= {
            "times": times,
            "size": (stream.width, stream.height),
            "sar": stream.sample_aspect_ratio or Fraction(1),
            "colour": (
                int(first.color_primaries),
                int(first.color_trc),
                int(first.colorspace),
                int(first.color_range) or 1,
            )
            if first is not None
            else None,
            "matrix": side.get("DISPLAYMATRIX"),
            "hdr": (side.get("MASTERING_DISPLAY_METADATA"), side.get("CONTENT_LIGHT_LEVEL")),
            "bits": max((c.bits for c in first.format.components), default=8)
            if first is not None
            else None,
        }
    return result
