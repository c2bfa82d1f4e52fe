"""What is stored compressed: frames, packets of them, and texts and data that are collected."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from dataclasses import astuple, replace
from fractions import Fraction
from pathlib import Path

import pytest
import reference
import zstandard
from support.clips import header
from support.media import Sound, make

import vqcodec
from vqcodec.cli import main
from vqcodec.container import packets as packets_module
from vqcodec.container import stored_tracks
from vqcodec.container import tracks as tracks_module
from vqcodec.container.packets import COMPRESSED, GopPayload
from vqcodec.container.reader import ContainerReader
from vqcodec.container.stored_tracks import StoredTracks
from vqcodec.container.tracks import COLLECTED, PACKETS, TRACK, Track, TrackPacket, TrackWriter
from vqcodec.container.writer import ContainerWriter
from vqcodec.container.zstd import compress, decompress
from vqcodec.errors import DamageError, LimitError
from vqcodec.options import EncodeOptions, Limits
from vqcodec.pipeline import join
from vqcodec.pipeline.encode import encode

TEXT = b"".join(b"%d: the quick brown fox jumps over the lazy dog\n" % i for i in range(100))
SUBTITLE = Track(0, "subtitle", "subrip", Fraction(1, 1000))
SOUND = Track(1, "audio", "aac", Fraction(1, 48000))


def frame(content: bytes = TEXT, checksum: bool = True, size: bool = True) -> bytes:
    c = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size)
    return c.compress(content)


def saying(size: int, content: bytes = TEXT) -> bytes:
    """A frame that claims a length of its content; the checksum of the content is right."""
    return b"\x28\xb5\x2f\xfd\xe4" + struct.pack("<Q", size) + frame(content)[7:]


def test_frames() -> None:
    made = compress(TEXT)
    assert made is not None
    assert len(made) < len(TEXT) // 10
    assert decompress(made, len(TEXT)) == TEXT == decompress(saying(len(TEXT)), 1 << 20)
    assert compress(b"") is None
    assert compress(b"ab") is None
    assert compress(bytes(range(256))) is None  # it would not be shorter


@pytest.mark.parametrize("size", [1, len(TEXT) - 1, len(TEXT) + 1, 1 << 19])
def test_a_frame_with_another_length_than_it_says_is_damage(size: int) -> None:
    with pytest.raises(DamageError, match="no whole zstd frame"):
        decompress(saying(size), 1 << 20)


def test_frames_of_other_kinds_are_damage() -> None:
    dictionary = zstandard.ZstdCompressionDict(TEXT, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    other = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True).compress(TEXT)
    bad = [b"", b"x", frame()[:3], frame()[:-1], frame() + b"x", frame() + frame(), TEXT]
    bad += [frame(checksum=False), frame(size=False), frame(b""), other, saying((1 << 64) - 1)]
    bad += [b"\x28\xb5\x2f\xfd\xe5\7" + saying(len(TEXT))[5:]]  # names a dictionary
    bad += [b"\x50\x2a\x4d\x18\4\0\0\0abcd" + frame(), b"\x50\x2a\x4d\x18\4\0\0\0abcd"]
    bad += [frame()[:-1] + bytes([frame()[-1] ^ 1])]
    for data in bad:
        with pytest.raises(DamageError):
            decompress(data, 1 << 20)


def test_the_limit_is_looked_at_before_memory_is_taken() -> None:
    bomb = frame(bytes(32 << 20))
    assert len(bomb) < 4096
    for data in (bomb, saying(1 << 40), saying((1 << 64) - 2)):
        tracemalloc.start()
        try:
            with pytest.raises(LimitError, match="over the limit of 1000000"):
                decompress(data, 1_000_000)
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()


def written(*extras: tuple[int, bytes]) -> bytes:
    """A file with packets of these types and payloads before its only GOP."""
    f = io.BytesIO()
    w = ContainerWriter(f, header(8, 8))
    for kind, payload in extras:
        w.extra(kind, payload)
    w.gop(GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
    w.finish()
    return f.getvalue()


def opened(data: bytes, limits: Limits | None = None) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(data), limits)


def file_of(*packets: TrackPacket, gops: int = 1, seconds: int = 2) -> bytes:
    """A file of GOPs of two pictures, and packets, each before the GOP of its time."""
    f = io.BytesIO()
    w = ContainerWriter(f, header(8, 8))
    out, left = TrackWriter(w), list(packets)
    out.add(SUBTITLE)
    out.add(SOUND)
    bases = {t.number: t.time_base for t in (SUBTITLE, SOUND)}
    for i in range(gops):
        end = (i + 1) * seconds
        while left and (left[0].time or 0) * bases[left[0].track] < end:
            out.packet(left.pop(0))
        out.flush(Fraction(end))
        first = 1000 * seconds * i
        w.gop(GopPayload((first, first + 500 * seconds), 0, i, (1, 2, 3), b"body"))
    for p in left:
        out.packet(p)
    out.flush()
    w.finish()
    return f.getvalue()


def text(at: float, data: bytes = b"It was said before. ") -> TrackPacket:
    time = round(1000 * at)
    return TrackPacket(0, time, time, 1500, True, False, (), data * 3)


def sound(at: float) -> TrackPacket:
    time = round(48000 * at)
    return TrackPacket(1, time, time, 48000, True, False, (), b"sound %d" % time)


def test_what_shrinks_is_compressed_and_the_rest_is_not() -> None:
    noise = random.Random(1).randbytes(1000)
    font = Track(0, "attachment", "", Fraction(1), sample=TEXT)
    held = [font, replace(font, number=1, sample=noise)]
    held.append(replace(font, number=2, sample=bytes(5 << 20)))
    f = io.BytesIO()
    w = ContainerWriter(f, header(8, 8))
    out = TrackWriter(w)
    for t in held:
        out.add(t)
    w.gop(GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
    assert w.finish() < 3000
    reader = opened(f.getvalue())
    assert [e.type for e in reader.extras] == [TRACK] * 3
    assert [e.compressed for e in reader.extras] == [True, False, True]
    assert reader.complete
    assert list(StoredTracks(reader).tracks.values()) == held
    # nor does it matter to a reader whether something was compressed
    plain = opened(written(*((TRACK, t.to_bytes()) for t in held)))
    assert StoredTracks(plain).tracks == StoredTracks(reader).tracks


def test_a_bad_frame_costs_its_content_only() -> None:
    good, other = SUBTITLE.to_bytes(), SOUND.to_bytes()
    for bad in (saying(len(good) + 1, good), saying(len(good) - 1, good), good, b""):
        data = written((TRACK | COMPRESSED, bad), (TRACK | COMPRESSED, frame(other)))
        reader = opened(data)
        stored = StoredTracks(reader)
        assert list(stored.tracks.values()) == [SOUND]
        assert reader.complete
        assert not reader.damaged
        assert len(stored.damage) == 1
        assert "packet at byte" in stored.damage[0]


def test_bombs_are_over_a_limit(tmp_path: Path) -> None:
    """Whatever --max-memory, --max-packet and the format allow; the pictures stay."""
    bomb = Track(0, "attachment", "", Fraction(1), sample=bytes(60 << 20)).to_bytes()
    data = written((TRACK | COMPRESSED, frame(bomb)))
    assert len(data) < 10_000
    assert StoredTracks(opened(data)).tracks[0].sample == bytes(60 << 20)
    for limits in (Limits(memory=100 << 20), Limits(packet=50 << 20)):
        stored = StoredTracks(opened(data, limits))
        assert not stored.tracks
        assert "over the limit of 52428800" in stored.damage[0]
    # many of them are not decompressed one by one
    crowd = written(*[(TRACK | COMPRESSED, frame(bomb))] * 50, *[(0xC0, frame(bomb))] * 50)
    stored = StoredTracks(opened(crowd, Limits(memory=250 << 20)))
    assert len(stored.damage) == 98
    assert len(stored.tracks) == 1
    assert sum("when decompressed" in text for text in stored.damage) == 98
    huge = written((TRACK | COMPRESSED, saying(packets_module.MAX_PAYLOAD + 1)))
    assert "over the limit of 67108864" in StoredTracks(opened(huge)).damage[0]
    (tmp_path / "a.vqv").write_bytes(huge)
    assert main(["verify", "--fast", str(tmp_path / "a.vqv")]) == 4


def test_compressed_packets_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer keeps it by not compressing, a reader by not decompressing."""
    packets = [text(i) for i in range(100)]
    whole = file_of(*packets, gops=1, seconds=200)
    size = sum(len(opened(whole).read_extra(i)) for i, e in collected(whole))
    for module in (tracks_module, stored_tracks):  # the writer's and the reader's
        monkeypatch.setattr(module, "MAX_DECOMPRESSED", size // 2)
    stored = StoredTracks(opened(whole))
    got = list(stored.packets())
    assert 0 < len(got) < 100
    assert got == [p for p in packets if p in got]
    assert "over the limit" in stored.damage[0]
    for again in (list(stored.packets()), list(stored.packets())):  # it holds for each pass alone
        assert again == got
    half = file_of(*packets, gops=1, seconds=200)
    assert {e.compressed for _, e in collected(half)} == {True, False}
    stored = StoredTracks(opened(half))
    assert list(stored.packets()) == packets
    assert not stored.damage


def collected(data: bytes) -> list[tuple[int, packets_module.Extra]]:
    return [(i, e) for i, e in enumerate(opened(data).extras) if e.type == COLLECTED]


def test_collected_texts_come_in_step_with_the_sound() -> None:
    """They lie further back in the file than the sound of their time; they are given with it."""
    packets = sorted(
        [text(t + 0.5) for t in range(0, 100, 3)] + [sound(t) for t in range(100)],
        key=lambda p: float((p.time or 0) * (SOUND if p.track else SUBTITLE).time_base),
    )
    data = file_of(*packets, gops=50)
    reader = opened(data)
    stored = StoredTracks(reader)
    assert list(stored.packets()) == packets
    assert not stored.damage
    assert sum(e.type == PACKETS for e in reader.extras) == 50
    assert len(collected(data)) == 4
    # a reader that begins in the middle finds all that begins later
    late = [p for p in stored.packets(60) if p.track == 0]
    assert late == [p for p in packets if p.track == 0][-len(late) :]
    assert late[0].time is not None
    assert late[0].time <= 60_000
    assert {p for p in packets if p.track == 0} > set(late)


def test_how_long_texts_are_collected() -> None:
    """For 30 seconds or 64 KiB, even where no other text follows; so a cut costs no more."""
    data = file_of(text(1), text(200), gops=150)
    first, last = (e for _, e in collected(data))
    assert first.first_frame == 2 * 15
    assert last.first_frame == 2 * 115
    big = file_of(*(text(i / 10, bytes([i]) * 10_000) for i in range(20)), gops=1)
    sizes = [len(opened(big).read_extra(i)) for i, _ in collected(big)]
    assert len(sizes) == 10
    assert max(sizes) <= tracks_module.COLLECTED_CHUNK
    assert len(collected(file_of(*(text(i) for i in range(100)), gops=50))) == 4


def test_a_cut_or_damaged_file_keeps_the_texts_elsewhere() -> None:
    packets = [text(t) for t in range(200)]
    data = file_of(*packets, gops=100)
    places = [e.offset for _, e in collected(data)]
    cut = StoredTracks(opened(data[: places[3] + 20]))
    assert list(cut.packets()) == packets[: 3 * 31]
    bad = bytearray(data)
    bad[places[2] + 40] ^= 1
    stored = StoredTracks(opened(bytes(bad)))
    assert list(stored.packets()) == packets[: 2 * 31] + packets[3 * 31 :]
    assert stored.damage


def test_hostile_times_are_given_all_the_same() -> None:
    """Times may be missing, run backwards, or belong to no track."""
    f = io.BytesIO()
    w = ContainerWriter(f, header(8, 8))
    out = TrackWriter(w)
    out.add(SUBTITLE)
    out.add(SOUND)
    times = [None, 5, -(1 << 61), 1 << 61, None, 0, 3]
    one = TrackPacket(0, None, None, 1, True, False, (), b"")
    packets = [replace(one, track=n, dts=t, pts=t) for t in times for n in (0, 1, 5)]
    for p in packets:
        out.packet(p)
    out.flush()
    w.gop(GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
    w.finish()
    stored = StoredTracks(opened(f.getvalue()))
    got = list(stored.packets())
    for track in (0, 1, 5):
        assert [p for p in got if p.track == track] == [p for p in packets if p.track == track]


@pytest.mark.usefixtures("fake_network")
def test_files_that_encode_writes(tmp_path: Path) -> None:
    """Attachment, description of the subtitles and the texts come out as they were."""
    source = make(
        tmp_path / "in.mkv",
        frames=50,
        sounds=(Sound(),),
        subtitles=(("subrip", {"title": "Texts"}),),
        attachments=(("a.ttf", "font/ttf", TEXT),),
    )
    encode(str(source), str(tmp_path / "a.vqv"), EncodeOptions(gop=10))
    reader = opened((tmp_path / "a.vqv").read_bytes())
    stored = StoredTracks(reader)
    font = next(t for t in stored.tracks.values() if t.kind == "attachment")
    assert font.sample == TEXT
    assert any(e.type == TRACK and e.compressed for e in reader.extras)
    assert sum(e.type == COLLECTED for e in reader.extras) == 1
    assert not any(e.compressed for e in reader.extras if e.type == PACKETS)
    assert main(["verify", "--fast", str(tmp_path / "a.vqv")]) == 0

    # the reader that was written from the page finds the same
    found, packets = reference.read_tracks(reference.read_file((tmp_path / "a.vqv").read_bytes()))
    for number, t in stored.tracks.items():
        base = (t.time_base.numerator, t.time_base.denominator)
        want = (number, t.kind, t.codec, base, t.disposition, t.tags, t.format, t.sample)
        assert tuple(found[number]) == want
        want_packets = [astuple(p) for p in stored.packets() if p.track == number]
        assert [tuple(p) for p in packets.get(number, [])] == want_packets
    assert len(found) == len(stored.tracks) == 3
    assert len(packets) == 2


def test_join_keeps_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of joined parts are compressed anew, and the limit holds for each part."""
    data = file_of(*(text(t) for t in range(100)), gops=50)
    size = sum(len(opened(data).read_extra(i)) for i, _ in collected(data))
    for name in ("a.vqv", "b.vqv"):
        (tmp_path / name).write_bytes(data)
    parts = [str(tmp_path / name) for name in ("a.vqv", "b.vqv")]
    monkeypatch.setattr(join, "MAX_DECOMPRESSED", size)
    vqcodec.join(parts, tmp_path / "both.vqv")
    both = (tmp_path / "both.vqv").read_bytes()
    assert {e.compressed for _, e in collected(both)} == {True}
    stored = StoredTracks(opened(both))
    assert len(list(stored.packets())) == 200
    assert not stored.damage
    monkeypatch.setattr(join, "MAX_DECOMPRESSED", size - 1)
    with pytest.raises(LimitError, match="when decompressed"):
        vqcodec.join(parts, tmp_path / "more.vqv")
    assert not (tmp_path / "more.vqv").exists()
