#!/usr/bin/env python3
"""What zstd saves in tracks besides the pictures, of three files: `python tools/track_sizes.py`.

The files are made here: an episode with fonts (matplotlib's) and an ASS script with signs and
karaoke, a film with subtitles in three languages and many chapters, and a recording of an action
camera with telemetry in the layout of GPMF. Texts are words of Python's own documentation. Only
the tracks are measured: GOPs of four seconds are written with nothing in them.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import matplotlib  # noqa: E402

from vqcodec.container import packets as packets_module  # noqa: E402
from vqcodec.container import tracks as tracks_module  # noqa: E402
from vqcodec.container import writer as writer_module  # noqa: E402
from vqcodec.container.reader import ContainerReader  # noqa: E402
from vqcodec.container.stored_tracks import StoredTracks  # noqa: E402
from vqcodec.media.track_source import TrackSource, describe  # noqa: E402
from vqcodec.options import TrackChoice  # noqa: E402
from vqcodec.system.columns import columns  # noqa: E402

GOP_SECONDS = 4
COLLECTED = (4, 8, 15, 30, 60, 120, 300)  # seconds of texts and data in one place, to be compared
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
COLOURS = b"&H00FFFFFF,&H000000FF,&H00101010,&H80000000"
STYLE = b"Style: Sign %d,DejaVu Serif,%d," + COLOURS + b",0,0,1,2,1,2,40,40,30,1\n"
STYLES = b"".join(STYLE % (i, 20 + i) for i in range(30))
HEADER = (
    b"[Script Info]\nScriptType: v4.00+\nPlayResX: 1280\nPlayResY: 720\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, "
    b"Bold, Italic, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
    + STYLES
    + b"\n[Events]\n"
    + b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
Text = tuple[float, float, str]  # begin and length in seconds


@dataclass
class Made:
    """Tracks of a file: texts by kind, packets of data one a second."""

    seconds: int
    texts: list[tuple[str, list[Text]]] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    fonts: dict[str, bytes] = field(default_factory=dict)
    chapters: int = 0


def sentences(seed: int) -> Iterator[str]:
    """Endless lines of subtitles, of 3 to 12 words each; the same for the same ``seed``."""
    words, rng = " ".join(topics.values()).split(), random.Random(seed)
    while True:
        at = rng.randrange(len(words) - 12)
        yield " ".join(words[at : at + rng.randint(3, 12)])


def dialogue(seconds: int, seed: int) -> list[Text]:
    """A line every four seconds or so."""
    rng, lines, at, found = random.Random(seed), sentences(seed), 5.0, []
    while at < seconds - 5:
        length = rng.uniform(1, 4.5)
        found.append((at, length, next(lines)))
        at += length + rng.uniform(0, 3)
    return found


def episode() -> Made:
    """An episode of 24 minutes: a track of ASS subtitles with signs and karaoke."""
    rng, seconds = random.Random(1), 24 * 60
    events = [(t, d, f"0,Sign 1,,0,0,0,,{text}") for t, d, text in dialogue(seconds, 1)]
    for song in (60, 20 * 60):  # songs: each syllable lights up for itself
        for i in range(20):
            parts = "".join(f"{{\\k{rng.randint(10, 60)}}}{w} " for w in next(sentences(i)).split())
            line = f"0,Sign 2,,0,0,0,fx,{{\\an8\\fad(200,200)}}{parts}"
            events.append((song + 4.0 * i, 4.0, line))
    for _ in range(60):  # signs that move with the picture, one event for each of their frames
        begin, x, y = rng.uniform(0, seconds - 10), rng.uniform(100, 900), rng.uniform(50, 600)
        name, text = rng.randrange(3, 30), next(sentences(int(x)))
        for k in range(48):
            place = f"\\pos({x + 1.7 * k:.2f},{y - 0.4 * k:.2f})\\frz{0.1 * k:.2f}\\blur0.6"
            sign = f"0,Sign {name},,0,0,0,,{{{place}\\c&H3A2F{k:02X}&}}{text}"
            events.append((begin + k / 24, 1 / 24, sign))
    events.sort()
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = {f"{name}.ttf": (folder / f"{name}.ttf").read_bytes() for name in FONTS}
    return Made(seconds, [("ass", events)], fonts=fonts)


def film() -> Made:
    """A film of two hours with three tracks of plain subtitles, and chapters."""
    seconds = 2 * 3600
    return Made(seconds, [("subrip", dialogue(seconds, seed)) for seed in (2, 3, 4)], chapters=60)


def camera() -> Made:
    """Acceleration and rotation 200 times a second, and the place 18 times."""
    rng, seconds, packets = random.Random(5), 10 * 60, []
    place = [485_000_000, 92_000_000, 250_000, 1200, 1300]

    def entry(key: bytes, kind: bytes, rows: list[bytes]) -> bytes:
        content = b"".join(rows)
        head = key + kind + struct.pack(">BH", len(rows[0]), len(rows))
        return head + content + bytes(-len(content) % 4)

    def stream(name: bytes, scale: int, values: bytes) -> bytes:
        body = entry(b"STNM", b"c", [bytes([c]) for c in name])
        body += entry(b"SCAL", b"s", [struct.pack(">h", scale)]) + values
        return b"STRM\0" + struct.pack(">BH", 1, len(body)) + body

    for _ in range(seconds):
        motion = []
        for key, name in ((b"ACCL", b"Accelerometer (m/s2)"), (b"GYRO", b"Gyroscope (rad/s)")):
            walk, rows = [rng.gauss(0, 900) for _ in range(3)], list[bytes]()
            for _ in range(200):
                walk = [w * 0.97 + rng.gauss(0, 60) for w in walk]
                rows.append(struct.pack(">3h", *(max(-32768, min(32767, round(w))) for w in walk)))
            motion.append(stream(name, 418, entry(key, b"s", rows)))
        rows = []
        for _ in range(18):
            place = [p + rng.randint(-30, 40) for p in place]
            rows.append(struct.pack(">5i", *place))
        name = b"GPS (Lat., Long., Alt., 2D speed, 3D speed)"
        motion.append(stream(name, 1, entry(b"GPS5", b"l", rows)))
        body = b"".join(motion)
        packets.append(b"DEVC\0" + struct.pack(">BH", 1, len(body)) + body)
    return Made(seconds, data=packets)


def write(path: Path, made: Made) -> None:
    """A video file of one picture a second with these tracks."""
    with av.open(str(path), "w") as out:
        if made.chapters:
            step, lines = made.seconds * 1000 // made.chapters, sentences(9)
            out.set_chapters(
                [
                    {
                        "id": i + 1,
                        "start": i * step,
                        "end": (i + 1) * step,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": next(lines)},
                    }
                    for i in range(made.chapters)
                ]
            )
        video: Any = out.add_stream("libx264", rate=1)
        video.width = video.height = 32
        streams: list[Any] = []
        for codec, _ in made.texts:
            stream: Any = out.add_stream(codec) if codec == "ass" else out.add_mux_stream(codec)
            if codec == "ass":
                stream.codec_context.subtitle_header = HEADER
            stream.time_base = Fraction(1, 1000)
            streams.append(stream)
        for name, font in made.fonts.items():
            out.add_attachment(name, "font/ttf", font)
        data: Any = out.add_data_stream("klv") if made.data else None
        packets: list[Any] = []
        for i in range(made.seconds):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1)
            packets += video.encode(frame)
        packets += video.encode(None)
        for stream, (codec, texts) in zip(streams, made.texts, strict=True):
            for i, (at, length, text) in enumerate(texts):
                content = f"{i},{text}" if codec == "ass" else text
                packets.append(timed(content.encode(), stream, at, length))
        packets += [timed(d, data, float(i), 1.0) for i, d in enumerate(made.data)]
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            out.mux(packet)


def timed(content: bytes, stream: Any, at: float, length: float) -> Any:
    """A packet of ``content`` for ``stream``; ``at`` and ``length`` in seconds."""
    packet = av.Packet(content)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = round(at * 1000)
    packet.duration, packet.is_keyframe = round(length * 1000), True
    return packet


def stored(path: Path, seconds: int) -> bytes:
    """The tracks of a file in a .vqv of empty GOPs."""
    file = io.BytesIO()
    writer = writer_module.ContainerWriter(
        file, packets_module.StreamHeader(32, 32, Fraction(1, 1000))
    )
    source, out = TrackSource(str(path), 0, TrackChoice()), tracks_module.TrackWriter(writer)
    with av.open(str(path)) as opened:
        description = describe(opened, opened.streams.video[0])
    writer.extra(tracks_module.DESCRIPTION, description.to_bytes(), small=True)
    for begin in range(0, seconds, GOP_SECONDS):
        source.write(out, Fraction(begin + GOP_SECONDS))
        out.flush(Fraction(begin + GOP_SECONDS))
        writer.gop(
            packets_module.GopPayload((1000 * begin,), 1000 * GOP_SECONDS, 0, (0, 0, 0), b"")
        )
    source.finish(out, None)
    out.flush()
    source.close()
    writer.finish()
    assert not source.lost, source.lost
    return file.getvalue()


@contextmanager
def as_it_was() -> Iterator[None]:
    """Nothing is compressed, and nothing collected."""
    raw = patch.object(writer_module, "compress", lambda content: None)
    with raw, patch.object(tracks_module, "COLLECTED_KINDS", ()):
        yield


def sizes(data: bytes) -> Counter[str]:
    """Bytes of the packets by what is in them."""
    reader, found = ContainerReader.open(io.BytesIO(data)), Counter[str]()
    for i, extra in enumerate(reader.extras):
        name = "tags, chapters" if extra.type == tracks_module.DESCRIPTION else "texts and data"
        if extra.type == tracks_module.TRACK:
            kind = tracks_module.Track.from_bytes(reader.read_extra(i)).kind
            name = "attachments" if kind == "attachment" else "descriptions of tracks"
        found[name] += reader.packet_size(extra.offset)
    found["together"] = sum(found.values())
    return found


def held(data: bytes) -> Any:
    """What a reader makes of it."""
    s = StoredTracks(ContainerReader.open(io.BytesIO(data)))
    packets = list(s.packets())
    assert not s.damage
    return s.description, s.tracks, [[p for p in packets if p.track == n] for n in s.tracks]


def main() -> None:
    """Make the files, code them with and without compressed tracks, and print the tables."""
    files: list[tuple[str, Callable[[], Made]]] = [
        ("episode.mkv", episode),
        ("film.mkv", film),
        ("camera.ts", camera),
    ]
    rows = [["file", "", "before", "after", "share"]]
    longer = [["texts and data", "before", *(f"{s} s" for s in COLLECTED)]]
    with tempfile.TemporaryDirectory() as folder:
        for name, make in files:
            made = make()
            write(path := Path(folder) / name, made)
            with as_it_was():
                before = stored(path, made.seconds)
            after = stored(path, made.seconds)
            assert held(before) == held(after), "a reader finds something else"
            old, new = sizes(before), sizes(after)
            for kind in old:
                share = f"{100 * new[kind] / old[kind]:.0f} %"
                rows.append([name, kind, str(old[kind]), str(new[kind]), share])
            longer.append([name, str(old["texts and data"])])
            for length in COLLECTED:
                with patch.object(tracks_module, "COLLECTED_SECONDS", length):
                    found = sizes(stored(path, made.seconds))
                longer[-1].append(str(found["texts and data"]))
    print("\n".join([*columns(rows), "", *columns(longer)]))


if __name__ == "__main__":
    main()
