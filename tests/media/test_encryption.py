"""What is encrypted is named, by its own marks and never by what its decoder makes of it; what can
be read beside it is kept."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from support.fake_network import fake_network  # noqa: F401
from support.media import Sound, make

from vqcodec.cli import main
from vqcodec.media.encryption import _protected
from vqcodec.media.source import VideoSource

_SEGMENT, _TRACKS, _PLACE = (
    bytes.fromhex(n) for n in ("18538067", "1654ae6b", "53ab84")
)  # EBML's names

pytestmark = pytest.mark.usefixtures("fake_network")


def scrambled_recording(path: Path) -> None:
    """A recording of television, its packets of pictures scrambled (ISO/IEC 13818-1)."""
    make(path, frames=5)
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        if (data[at + 1] & 31) << 8 | data[at + 2] == 256:
            begin = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            data[at + 3] |= 0x80
            data[begin : at + 188] = bytes(byte ^ 0xA5 for byte in data[begin : at + 188])
    path.write_bytes(data)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length of an EBML element (RFC 8794) and where its content begins."""
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return value, at + width


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def encrypted_track(data: bytes, number: int) -> bytes:
    """A Matroska file whose track ``number`` says that it is encrypted (RFC 9559)."""
    key = _element("5035", _element("47e1", b"\5") + _element("47e2", b"a key"))
    mark = _element("6d80", _element("6240", _element("5033", b"\1") + key))
    # the first is in the list of places (SeekHead), if there is one
    tracks = data.index(_TRACKS)
    if data[tracks - 3 : tracks] == _PLACE:
        tracks = data.index(_TRACKS, tracks + 4)
    size, begin = _length(data, tracks + 4)
    rest, entries = data[begin : begin + size], []
    while rest:
        length, start = _length(rest, 1)
        if rest[0] == 0xAE:  # a track; others are padding and a checksum
            entries.append(rest[start : start + length])
        rest = rest[start + length :]
    entries[number] += mark
    segment = data.index(_SEGMENT) + 4
    data = data[:segment] + b"\1" + 7 * b"\xff" + data[segment + 8 :]  # of any length
    whole = b"".join(_element("ae", entry) for entry in entries)
    return data[:tracks] + _element("1654ae6b", whole) + data[begin + size :]


def test_pictures_are_called_encrypted_whatever_they_decode_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In mp4, Matroska and recordings of television; the first's counter is random."""
    key = {"encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    encryption = {"encryption_scheme": "cenc-aes-ctr"} | key
    make(tmp_path / "a.mp4", frames=5, format_options=encryption)
    plain = make(tmp_path / "b.mkv", frames=5, codec="mpeg4")  # each picture decodes as it is
    plain.write_bytes(encrypted_track(plain.read_bytes(), 0))
    scrambled_recording(tmp_path / "c.ts")
    for name in ("a.mp4", "b.mkv", "c.ts"):
        assert main(["encode", str(tmp_path / name), str(tmp_path / "o.vqv")]) == 3
        err = capsys.readouterr().err
        assert "they are encrypted, and there is no key" in err, (name, err)


def test_encrypted_sound_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was copied: noise in the output, in silence."""
    source, coded = tmp_path / "a.mkv", tmp_path / "a.vqv"
    make(source, frames=5, sounds=(Sound(), Sound()))
    source.write_bytes(encrypted_track(source.read_bytes(), 1))
    assert main(["encode", str(source), str(coded)]) == 4
    err = capsys.readouterr().err
    assert "stream 1 is encrypted, and there is no key" in err
    assert main(["decode", "-q", str(coded), str(tmp_path / "b.mkv")]) == 0
    with av.open(str(tmp_path / "b.mkv")) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]


def test_pictures_behind_a_clear_beginning_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services leave the first seconds of a film clear."""
    make(tmp_path / "a.mkv", frames=8)
    seen = iter(range(8))
    monkeypatch.setattr("vqcodec.media.encryption._encrypted", lambda packet: next(seen) >= 5)
    with VideoSource(str(tmp_path / "a.mkv")) as source:
        assert len(list(source)) == 5
        assert source.corrupt >= 3
        assert any("3 of its packets" in sentence for sentence in source.lost)


def test_a_packet_whose_stretches_are_all_clear_is_not_encrypted() -> None:
    """Of ISO/IEC 23001-7 in the form of FFmpeg's AVEncryptionInfo."""
    head = struct.pack(">6I", 0x63656E63, 0, 0, 16, 8, 2) + bytes(24)
    assert not _protected(head + struct.pack(">4I", 100, 0, 7, 0))
    assert _protected(head + struct.pack(">4I", 100, 0, 7, 16))
    assert _protected(struct.pack(">6I", 0x63656E63, 0, 0, 16, 8, 0) + bytes(24))
    assert _protected(b"")
