from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from clips import same, sound
from fakes import fake_network  # noqa: F401
from test_damage import synthetic
from test_pipeline import clip, coded, flip, frames, reader  # noqa: F401

from vqcodec import container as c
from vqcodec import tracks
from vqcodec.cli import main
from vqcodec.decoder import decode, verify
from vqcodec.errors import DamageError
from vqcodec.options import DecodeOptions
from vqcodec.repair import repair
from vqcodec.scan import ContainerReader

FFV1 = DecodeOptions(vcodec="ffv1")


def repaired(data: bytes, folder: Path) -> tuple[int, bytes]:
    """Exit code and result; the result is sound and is not changed by being repaired again."""
    (folder / "bad.vqv").write_bytes(data)
    code = main(["repair", "-q", "-y", str(folder / "bad.vqv"), str(folder / "good.vqv")])
    good = (folder / "good.vqv").read_bytes()
    r = ContainerReader(io.BytesIO(good))
    assert r.complete and not r.damaged
    assert main(["repair", "-q", "-y", str(folder / "good.vqv"), str(folder / "again.vqv")]) == (4 if any(e.offset < 0 for e in r.gops) else 0)
    assert (folder / "again.vqv").read_bytes() == good
    return code, good


def test_a_sound_file_stays_as_it_is(tmp_path: Path) -> None:
    for n in (0, 1, 7):
        data, _ = synthetic(n, 50)
        assert repaired(data, tmp_path) == (0, data)


def test_header_and_index_are_made_anew(tmp_path: Path) -> None:
    data, o = synthetic(6, 50)
    assert repaired(bytes(40) + data[40:], tmp_path) == (0, data)  # the header is lost
    assert repaired(data[: o[-1]] + bytes(30), tmp_path) == (4, data)  # the index is: whether more frames followed is not known
    assert repaired(data[: o[-1]], tmp_path) == (4, data)
    assert repaired(data[: o[2]] + b"junk" + data[o[2] :], tmp_path) == (0, data)
    assert repaired(data[: o[2]] + data[o[1] : o[2]] + data[o[2] :], tmp_path) == (0, data)  # a GOP twice
    assert repaired(data[: o[1]] + data[o[2] : o[3]] + data[o[1] : o[2]] + data[o[3] :], tmp_path) == (0, data)  # two exchanged
    code, cut = repaired(data[: o[4] - 1], tmp_path)
    assert code == 4 and sound(cut) == {f: g for f, g in list(sound(data).items())[:3]}


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("lost", [(0,), (2,), (5,), (1, 2), (0, 1, 2), (1, 3, 4)])
def test_lost_gops_keep_their_place(tmp_path: Path, lost: tuple[int, ...], index: bool) -> None:
    data, o = synthetic(6, 50)
    want = ContainerReader(io.BytesIO(data))
    bad = bytearray(data)
    for i in lost:
        bad[o[i + 1] - 6] ^= 1
    code, good = repaired(bytes(bad if index else bad[: o[-1]]), tmp_path)
    r = ContainerReader(io.BytesIO(good))
    assert code == 4 and r.frames == want.frames and [(e.first_frame, e.count) for e in r.gops] == [(e.first_frame, e.count) for e in want.gops]
    assert [e.offset < 0 for e in r.gops] == [i in lost for i in range(6)]
    for i, e in enumerate(want.gops):
        if i not in lost:
            assert r.read_gop(i) == want.read_gop(i)
        if i not in lost or index:
            assert r.gops[i].first_pts == e.first_pts


def test_packets_of_other_types_are_kept(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    sid = ContainerReader(io.BytesIO(data)).stream_id
    other = c.packet(0x90, sid, 5, 0, b"of a later version")
    code, good = repaired(data[: o[1]] + other + data[o[1] :], tmp_path)
    assert code == 0 and good[: o[1]] + other == good[: o[1] + len(other)]
    assert sound(good) == sound(data)


def test_what_cannot_be_repaired(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    for name, bad, code in (("none", bytes(60) + data[60 : o[-1]], 3), ("head", data[:30], 4), ("cut", data[: o[1] - 1], 4), ("version", data[:8] + b"\7" + data[9:], 3)):
        (tmp_path / f"{name}.vqv").write_bytes(bad)
        assert main(["repair", "-q", str(tmp_path / f"{name}.vqv"), str(tmp_path / "out.vqv")]) == code
        assert not (tmp_path / "out.vqv").exists()
    (tmp_path / "a.vqv").write_bytes(data)
    (tmp_path / "old.vqv").write_bytes(b"old")
    assert main(["repair", str(tmp_path / "a.vqv"), str(tmp_path / "old.vqv")]) == 5 and (tmp_path / "old.vqv").read_bytes() == b"old"
    assert main(["repair", "-y", str(tmp_path / "a.vqv"), str(tmp_path / "a.vqv")]) == 2 and (tmp_path / "a.vqv").read_bytes() == data
    with pytest.raises(DamageError, match="no GOP could be saved"):
        repair(str(tmp_path / "cut.vqv"), str(tmp_path / "out.vqv"))


@pytest.mark.usefixtures("fake_network")
def test_a_repaired_file_decodes_as_the_damaged_one(tmp_path: Path, coded: Path) -> None:  # noqa: F811
    """The frames that are left, the ones that stand in for the lost, their times; and the loss is still told of."""
    for bad in (1, 2):
        flip(coded, bad)
    report = repair(str(coded), str(tmp_path / "good.vqv"))
    assert (report.frames, report.gops, report.lost, report.complete, report.ok) == (55, 2, 30, True, False)
    assert report.bytes == (tmp_path / "good.vqv").stat().st_size
    a = decode(str(coded), str(tmp_path / "a.mkv"), FFV1)
    b = decode(str(tmp_path / "good.vqv"), str(tmp_path / "b.mkv"), FFV1)
    assert not b.ok and (a.frames, a.concealed) == (b.frames, b.concealed) == (55, 30) and "lost" in b.damage[0]
    one, two = frames(tmp_path / "a.mkv"), frames(tmp_path / "b.mkv")
    assert [t for t, _ in one] == [t for t, _ in two] == [Fraction(i, 25) for i in range(55)]
    assert all(same(p, q) for (_, p), (_, q) in zip(one, two, strict=True))
    assert verify(str(tmp_path / "good.vqv"))["damaged_gops"] == 2 and main(["info", str(tmp_path / "good.vqv")]) == 4


def test_tracks_are_carried_along(tmp_path: Path) -> None:
    """Description, tracks and their packets, in the order of the GOPs with which they are stored; what is there twice once."""
    f = io.BytesIO()
    w = c.ContainerWriter(f, c.StreamHeader(64, 48, Fraction(1, 1000), Fraction(25)))
    description = tracks.Description({"title": "T"}, chapters=(tracks.Chapter(1, 0, 5, Fraction(1, 25), {"title": "One"}),))
    w.extra(tracks.DESCRIPTION, description.to_bytes())
    t = tracks.TrackWriter(w)
    t.add(tracks.Track(0, "audio", "aac", Fraction(1, 1000), sample=b"sample"))
    t.add(tracks.Track(1, "attachment", "", Fraction(1), tags={"filename": "a.ttf"}, sample=b"font"))
    begins, packets = [], []
    for i in range(4):
        packets.append(tracks.TrackPacket(0, 400 * i, 400 * i, 400, True, False, (), b"packet %d" % i))
        begins.append(w.position)
        t.packet(packets[-1])
        t.flush()
        w.gop(c.GopPayload(tuple(range(400 * i, 400 * (i + 1), 40)), 40, i, (1, 2, 3), b"body %d" % i))
    begins.append(w.position)
    w.finish()
    data = f.getvalue()

    def held(data: bytes) -> tuple[tracks.Description, list[tracks.Track], list[tracks.TrackPacket]]:
        s = tracks.StoredTracks(ContainerReader(io.BytesIO(data)))
        assert not s.damage
        return s.description, list(s.tracks.values()), list(s.packets())

    want = held(data)
    assert want[2] == packets and len(want[1]) == 2
    parts = [data[a:b] for a, b in zip([0, *begins], [*begins, len(data)], strict=True)]
    assert repaired(data, tmp_path) == (0, data)
    twice = b"".join(parts[i] for i in (0, 1, 2, 2, 3, 1, 4, 5))
    assert held(twice) == want and any("more than once" in text for text in ContainerReader(io.BytesIO(twice)).damaged)
    for bad in (bytes(40) + data[40:], b"".join(parts[i] for i in (0, 2, 1, 3, 4, 5)), twice):
        assert repaired(bad, tmp_path) == (0, data)
    assert held(repaired(b"".join(parts[:-1]), tmp_path)[1]) == want  # without an index
    assert held(repaired(b"".join([*parts[:2], *parts[3:]]), tmp_path)[1])[2] == [packets[0], *packets[2:]]  # a GOP is lost with its packets
    code, good = repaired(data.replace(b"packet 1", b"packet 7"), tmp_path)  # a packet of a track is damaged, which costs no picture
    assert code == 0 and held(good)[2] == [packets[0], *packets[2:]] and sound(good) == sound(data)


def test_repair_through_pipes(tmp_path: Path) -> None:
    data, o = synthetic(3, 50)
    run = subprocess.run([sys.executable, "-m", "vqcodec", "repair", "-q", "-", "-"], input=data[: o[-1]], capture_output=True)
    assert run.returncode == 4 and run.stdout == data
