"""Fuzzing of everything that reads a .vqv file: `make fuzz SECONDS=600`, or `pytest -s
tests/fuzzing/fuzz.py` with FUZZ_SECONDS set.

Inputs are undamaged files whose bytes, fields or packets are changed; where fields or packets are,
lengths and checksums are put right again, so that the change gets behind them. An input is a
finding when it ends in anything but success or one of our errors, or takes more than SECONDS_EACH
or MEMORY_EACH. Findings are kept in tests/fuzzing/findings/ under the name of their target and
replayed by test_fuzz.py. Inputs that end in a way not seen before are changed further, and kept in
runs/fuzz/ for the next run.
"""

from __future__ import annotations

import faulthandler
import hashlib
import io
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.canary import Canary
from support.clips import faded, letterboxed, letters, moving
from support.gops import INTRA_EVERYWHERE
from support.grammar import (
    File,
    body_fields,
    extra_fields,
    gop_fields,
    mutate_bytes,
    mutate_fields,
    mutate_packets,
)
from support.heads import differing
from support.media import Sound, make
from support.paths import ROOT

import vqcodec
from vqcodec.cli import main
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.container import packets, writer
from vqcodec.container.description import Chapter, Description, Mastering
from vqcodec.container.index import index_payload, parse_index
from vqcodec.container.reader import ContainerReader
from vqcodec.container.tracks import (
    COLLECTED,
    DESCRIPTION,
    PACKETS,
    TRACK,
    Track,
    TrackWriter,
    get_packets,
)
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.errors import DamageError, DamageLog, VqvError
from vqcodec.fields import Reader, Writer
from vqcodec.media.track_source import TrackSource
from vqcodec.options import DecodeOptions, Limits, TrackChoice
from vqcodec.pipeline.decode import decode
from vqcodec.reading.timeline import Timeline

SECONDS_EACH = 5.0  # of the processor
SECONDS_TO_END = 300.0  # of the clock; the machine may be busy
MEMORY_EACH = 256 << 20
FINDINGS = Path(__file__).parent / "findings"
KEPT = ROOT / "runs" / "fuzz"
SMALL = Limits(pixels=64 * 64, frames=400, concealed=400)
W, H, FRAMES = 20, 12, 4
DESCRIBED = Description(
    {"title": "A film", "artist": "\u6f22"},
    {"language": "deu"},
    1,
    (Chapter(1, 0, 40, Fraction(1, 1000), {"title": "One"}), Chapter(2, 40, 200, Fraction(1, 25))),
    "gray",
    (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30),
    Mastering(((1, 50000),) * 10, True, False),
    (1000, 400),
)


# limits of a decode that is tried, as of SMALL
_SMALL = ("--max-pixels", "4096", "--max-frames", "400", "--max-concealed", "400")
# what a decode refuses though the file is whole: by what was asked for, and what no video file can
# hold
_EXCUSED = {
    2: ("no frame lies within", "needs even sizes"),
    5: ("is beyond what",),
    6: ("over the limit of",),
    7: ("needs model",),
}


class Finding(Exception):
    """What must not happen."""


def stream_header(**changes: Any) -> packets.StreamHeader:
    return packets.StreamHeader(
        **(
            {"width": W, "height": H, "time_base": Fraction(1, 1000), "rate": Fraction(25)}
            | changes
        )
    )


def written(
    header: packets.StreamHeader,
    bodies: list[tuple[bytes, int, int]],
    source: Path | None = None,
    more: Sequence[Track] = (),
) -> bytes:
    """A file of GOPs given as body, frames and checksum, with a description and the tracks of the
    file ``source`` if there is one, and ``more``."""
    f = io.BytesIO()
    w = writer.ContainerWriter(f, header)
    t = 0
    tracks, out = None, TrackWriter(w)
    if source is not None:
        w.extra(DESCRIPTION, DESCRIBED.to_bytes())
        tracks = TrackSource(str(source), 0, TrackChoice())
    for track in more:
        out.add(track)
    for body, frames, checksum in bodies:
        if tracks is not None:
            tracks.write(out, Fraction(t + 40 * frames, 1000))
        w.gop(
            packets.GopPayload(
                tuple(range(t, t + 40 * frames, 40)), 40, checksum, (1000, 20, 30), body
            )
        )
        t += 40 * frames
    if tracks is not None:
        tracks.finish(out, None)
        tracks.close()
    w.finish()
    return f.getvalue()


def times(r: ContainerReader) -> list[int]:
    """Times of all frames, of lost ones too."""
    timeline = Timeline(r, DamageLog())
    return [t for i in range(len(r.gops)) for t in timeline[i].pts]


def index_is_true(r: ContainerReader) -> bool:
    """Whether the index says of all undamaged GOPs when they begin; one with right checksums that
    doesn't was made by no writer."""
    for i, e in enumerate(r.gops):
        try:
            if e.first_pts not in (None, r.read_gop(i).pts[0]):
                return False
        except DamageError:
            pass
    return True


class Fuzzer:
    """Inputs, targets, and what became of them. ``codec``: the tiny one. ``folder``: for files that
    targets read and write."""

    def __init__(self, codec: Any, folder: Path, seed: int) -> None:
        self.codec, self.folder, self.rng = codec, folder, np.random.default_rng(seed)
        gop = encode_gop(codec, moving(W, H, FRAMES), 35)
        self.body = gop.body
        # weights, and a frame that its references show nothing of
        fade = encode_gop(codec, faded(moving(W, H, FRAMES), [0.0, 0.4, 0.7, 1.0]), 35)
        page = encode_gop(codec, letters(W, H, FRAMES), 35)
        film = encode_gop(codec, letterboxed(moving(W, H, FRAMES), 2, 3, 1, 0), 35)
        tiles = encode_gop(codec, moving(W, H, FRAMES), 35, INTRA_EVERYWHERE)
        source = make(
            folder / "tracks.mkv",
            frames=6,
            codec="ffv1",
            sounds=(Sound("pcm_s16le", 8000, "mono", {"language": "deu"}),),
            subtitles=(("subrip", {"title": "Texts"}),),
            attachments=(("a.ttf", "font/ttf", b"font"),),
        )
        self.seeds = {
            "file": [
                written(stream_header(), [(b"body", 3, 1), (b"more", 5, 2), (b"the end", 1, 3)]),
                written(
                    stream_header(rate=None, time_base=Fraction(1, 90000)), [(b"", 128, 0)] * 3
                ),
                written(stream_header(), [(b"body", 3, 1), (b"more", 5, 2)], source),
                written(stream_header(), []),
            ],
            "payload": [
                bytes([2, 4])
                + packets.GopPayload((0, 40, 85, 125), 40, 7, (1, 2, 3), b"body").to_bytes()
            ],
            "body": [bytes([FRAMES, W, H]) + made.body for made in (gop, fade, page, film, tiles)],
            "decode": [
                written(
                    stream_header(model_id=codec.model_id),
                    [(gop.body, FRAMES, gop.checksum)] * 3,
                    tracks,
                )
                for tracks in (None, source)
            ],
        }
        self.canary = Canary(folder)
        covers = make(
            folder / "covers.mp4", frames=6, cover=True, sounds=(Sound("aac"), Sound("flac"))
        )
        head, gops = stream_header(model_id=codec.model_id), [(gop.body, FRAMES, gop.checksum)] * 3
        self.seeds["output"] = [
            *self.seeds["decode"],
            written(head, gops, covers),
            written(head, gops[:1], source, self.canary.hostile()),
            *(written(head, gops[:1], None, [track]) for track in self.canary.hostile()),
        ]
        r = ContainerReader.open(io.BytesIO(self.seeds["file"][2]))
        numbers = {DESCRIPTION: 3, TRACK: 4, PACKETS: 5, COLLECTED: 5}
        for i, e in enumerate(r.extras):
            self.seeds["payload"].append(bytes([numbers[e.type], 0]) + bytes(r.read_extra(i)))
        self.seeds["payload"] += [
            bytes([k, 4]) + d
            for k, d in (
                (0, stream_header().to_bytes()),
                (
                    1,
                    index_payload(
                        stream_header().to_bytes(),
                        [packets.IndexEntry(50, 0, 3, 0), packets.IndexEntry(90, 3, 5, 120)],
                    ),
                ),
            )
        ]
        self.targets: dict[str, tuple[str, Callable[[bytes], str]]] = {
            "container": ("file", self.container),
            "info": ("file", self.info),
            "verify": ("file", self.verify),
            "repair": ("file", self.repair),
            "payload": ("payload", self.payload),
            "body": ("body", self.gop_body),
            "decode": ("decode", self.decode),
            "output": ("output", self.output),
            "join": ("file", self.join),
            "open": ("decode", self.open),
        }
        self.outcomes: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.findings: list[Path] = []

    # -- targets: the outcome as a word, VqvError, or anything else, which is a finding

    def container(self, data: bytes) -> str:
        r = ContainerReader.open(io.BytesIO(data))
        readable = 0
        for i in range(len(r.gops)):
            with suppress(VqvError):
                readable += len(r.read_gop(i).pts)
        if readable > r.frames:
            raise Finding(f"{readable} undamaged frames of {r.frames}")
        return f"complete {r.complete}, damaged {bool(r.damaged)}, all {readable == r.frames}"

    def _command(self, *args: str, codes: tuple[int, ...] = (0, 3, 4, 6)) -> int:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
            code = main(args)
        if code not in codes or "Traceback" in err.getvalue():
            raise Finding(f"exit code {code}: {err.getvalue()}")
        return code

    def _path(self, data: bytes) -> str:
        path = self.folder / "in.vqv"
        path.write_bytes(data)
        return str(path)

    def info(self, data: bytes) -> str:
        return str(self._command("info", "--json", self._path(data)))

    def verify(self, data: bytes) -> str:
        return str(self._command("verify", "--fast", self._path(data)))

    def repair(self, data: bytes) -> str:
        out = self.folder / "out.vqv"
        code = self._command("repair", "-y", self._path(data), str(out))
        if code in (0, 4) and out.exists():
            r = ContainerReader.open(io.BytesIO(out.read_bytes()))
            if r.damaged or not r.complete:
                raise Finding(f"the repaired file is damaged: {r.damaged}")
            last = None
            for i, e in enumerate(r.gops):
                if e.offset >= 0:
                    last = r.read_gop(i, last).pts[-1]
            out.unlink()
            damaged = ContainerReader.open(io.BytesIO(data))
            if index_is_true(damaged) and times(r) != times(damaged):
                raise Finding("the repaired file has other times")
        return str(code)

    def payload(self, data: bytes) -> str:
        kind, frames = (*data[:2], 0, 0)[:2]
        parsers: list[Callable[[bytes], Any]] = [
            packets.StreamHeader.from_bytes,
            lambda d: parse_index(d, 0, 1 << 20),
            Description.from_bytes,
            Track.from_bytes,
        ]
        if kind % 6 == 5:
            for _ in get_packets(data[2:]):
                pass
        elif kind % 6 != 2:
            parsers[(0, 1, 0, 2, 3)[kind % 6]](data[2:])
        else:
            gop = packets.GopPayload.from_bytes(data[2:], max(1, min(frames, packets.MAX_GOP)))
            if list(gop.pts) != sorted(set(gop.pts)):
                raise Finding("times that don't increase")
        return f"parsed {kind % 6}"

    def gop_body(self, data: bytes) -> str:
        frames, width, height = (*data[:3], 0, 0, 0)[:3]
        frames, width, height = max(1, frames % 20), max(1, width % 64), max(1, height % 64)
        pictures = list(decode_gop(self.codec, data[3:], frames, width, height))
        if len(pictures) != frames or any(
            p.y.shape != (height, width) or max(int(a.max()) for a in p) > 1023 for p in pictures
        ):
            raise Finding("no pictures as they should be")
        return "decoded"

    def decode(self, data: bytes) -> str:
        out = self.folder / ("out.y4m" if len(data) % 4 else "out.mkv")
        report = decode(
            self._path(data),
            str(out),
            DecodeOptions(
                limits=SMALL, threads=1, device="cpu", vcodec=None if len(data) % 4 else "ffv1"
            ),
            overwrite=True,
        )
        if not report.frames or (report.ok and report.concealed):
            raise Finding(f"{report}")
        return f"ok {report.ok}, concealed {bool(report.concealed)}"

    def output(self, data: bytes) -> str:
        """Where verify finds pictures, they are written, whatever else the file says; no other file
        is read, and nobody is asked."""
        path = self._path(data)
        checked = self._command("verify", "--fast", path, *_SMALL, codes=(0, 3, 4, 6))
        codes = []
        for suffix, codec in ((".mkv", "ffv1"), (".mp4", "libx264")):
            out = self.folder / f"written{suffix}"
            out.unlink(missing_ok=True)
            begin = len(data) % 7 == 0
            options = ("--vcodec", codec, *_SMALL, *(("-ss", "0.05") if begin else ()))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
                code = main(["decode", "-y", path, str(out), *options])
            said = err.getvalue()
            if self.canary.asked():
                raise Finding(f"{suffix}: the network was asked: {said}")
            if out.exists() and self.canary.is_in(out):
                raise Finding(f"{suffix}: another file is in the output: {said}")
            excused = _EXCUSED.get(code, ())
            if (
                checked in (0, 4)
                and code not in (0, 4)
                and not any(text in said for text in excused)
            ):
                raise Finding(f"{suffix}: verify ends with {checked}, decode with {code}: {said}")
            if code not in (0, 2, 3, 4, 5, 6, 7):
                raise Finding(f"{suffix}: exit code {code}: {said}")
            codes.append(code)
        return f"{checked} {codes}"

    def join(self, data: bytes) -> str:
        """The input between two whole files, and alone."""
        whole, out = self.folder / "whole.vqv", self.folder / "joined.vqv"
        whole.write_bytes(self.seeds["file"][0])
        code = self._command(
            "join", "-y", str(whole), self._path(data), str(whole), str(out), codes=(0, 2, 3, 4, 6)
        )
        if code == 2:  # of another size or time base
            code = 10 + self._command(
                "join", "-y", self._path(data), str(out), codes=(0, 2, 3, 4, 6)
            )
        if code in (0, 10):
            r = ContainerReader.open(io.BytesIO(out.read_bytes()))
            last = None
            for i in range(len(r.gops)):
                last = r.read_gop(i, last).pts[-1]
            if r.damaged or not r.complete:
                raise Finding(f"the joined file is damaged: {r.damaged}")
            out.unlink()
        return str(code)

    def _heads(self, video: Any, chosen: list[int]) -> tuple[dict[int, Any], str]:
        """Heads of frames read alone, and why one could not be: then the frame cannot either."""
        try:
            return {t.frame: t for i in chosen for t in video.tokens(i, i + 1, shallow=True)}, ""
        except DamageError as exc:
            return {}, str(exc)

    def open(self, data: bytes) -> str:
        """The library's reader: frames by number, in order and by time, and tokens."""
        conceal = len(data) % 4 > 0
        with vqcodec.open(
            self._path(data),
            output="yuv",
            on_damage="conceal" if conceal else "raise",
            limits=SMALL,
        ) as video:
            n = len(video)
            chosen = sorted({0, n // 2, n - 1}) if n else []
            heads, refused = self._heads(video, chosen)
            batch, tokens = (
                video.get_frames_at(chosen),
                [t for i in chosen for t in video.tokens(i, i + 1)],
            )
            if refused or any(differing(heads[t.frame], t) for t in tokens):
                raise Finding(f"heads of frames differ from what the decoder reads: {refused}")
            hidden = int(batch.concealed.sum())
            if (
                len(batch) != len(chosen)
                or not (batch.duration_seconds > 0).all()
                or len(tokens) > len(chosen)
            ):
                raise Finding(
                    f"{len(batch)} frames and {len(tokens)} tokens of {chosen}, shown for "
                    f"{batch.duration_seconds}"
                )
            for i, t in zip(chosen, batch.pts_seconds.tolist(), strict=True):
                frame = video.get_frame_at(i)
                if frame.pts_seconds != t or frame.data.y.shape != (
                    video.metadata.height,
                    video.metadata.width,
                ):
                    raise Finding(f"{frame}")
            if hidden and not (conceal and video.damage):
                raise Finding(f"{hidden} frames concealed, and no damage told")
            return f"conceal {conceal}, hidden {bool(hidden)}, damage {bool(video.damage)}"

    # -- running

    def mutate(self, kind: str, seed: bytes) -> bytes:
        rng = self.rng
        if rng.integers(3) == 0:
            return mutate_bytes(seed, rng)
        if kind in ("file", "decode", "output"):
            try:
                f = File.parse(seed)
                if rng.integers(3) == 0:
                    f = mutate_packets(
                        f,
                        rng,
                        File.parse(self.seeds[kind][int(rng.integers(4)) % len(self.seeds[kind])]),
                    )
                return mutate_fields(f, rng, int(rng.integers(1, 4))).build()
            except (VqvError, ValueError, OverflowError):  # a kept input that is no whole file
                return mutate_bytes(seed, rng)
        start = 3 if kind == "body" else 2
        try:
            rest = Reader(seed[start:])
            if kind == "body":
                fields = body_fields(rest, seed[0])
            elif seed[0] == 2:
                fields = gop_fields(rest, seed[1])
            else:
                fields = extra_fields(rest, {3: DESCRIPTION, 4: TRACK, 5: PACKETS}.get(seed[0], 0))
        except (VqvError, ValueError, IndexError):
            return mutate_bytes(seed, rng)
        for _ in range(int(rng.integers(1, 4)) if fields else 0):
            x = fields[rng.integers(len(fields))]
            values = x.values(rng)
            x.value = values[rng.integers(len(values))]
        w = Writer()
        for x in fields:
            x.put(w)
        head = bytearray(seed[:start])
        if rng.integers(8) == 0:
            head[rng.integers(len(head))] = int(rng.integers(256))  # a kept input may be shorter
        return bytes(head) + w.getvalue()

    def execute(self, target: str, data: bytes) -> str:
        """The outcome of one input; Finding where there is none."""
        faulthandler.dump_traceback_later(
            SECONDS_TO_END, exit=True
        )  # what hangs in a kernel can't be interrupted
        memory, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            outcome = self.targets[target][1](data)
        except VqvError as exc:
            outcome = f"{type(exc).__name__} " + re.sub(r"[\d.]+|'.*'|/\S+", "#", str(exc))[:120]
        except Finding:
            raise
        except Exception as exc:
            raise Finding(f"{type(exc).__name__}: {exc}") from exc
        finally:
            faulthandler.cancel_dump_traceback_later()
        took, grown = (
            time.process_time() - begin,
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) << 10,
        )
        if took > SECONDS_EACH or grown > MEMORY_EACH:
            raise Finding(f"took {took:.1f} s and {grown >> 20} MiB")
        return outcome

    def step(self, target: str) -> None:
        """One input for one target."""
        kind = self.targets[target][0]
        seeds = self.seeds[kind]
        data = self.mutate(kind, seeds[int(self.rng.integers(len(seeds)))])
        try:
            outcome = f"{target}: {self.execute(target, data)}"
        except Finding as exc:
            self.save(target, data, exc)
            outcome = f"{target}: FINDING {exc}"
        if outcome not in self.outcomes and len(data) < 1 << 14 and len(seeds) < 500:
            seeds.append(data)
        self.outcomes[outcome] += 1
        self.done[target] += 1

    def save(self, target: str, data: bytes, why: object) -> None:
        FINDINGS.mkdir(exist_ok=True)
        path = FINDINGS / f"{target}-{hashlib.sha256(data).hexdigest()[:8]}.bin"
        path.write_bytes(data)
        self.findings.append(path)
        print(f"{path}: {why}", file=sys.stderr, flush=True)


def stand_in(monkeypatch: pytest.MonkeyPatch, codec: Any) -> None:
    """Let decode use the tiny codec without loading it every time."""
    import vqcodec.codec.weights as weights
    import vqcodec.reading.file_heads as file_heads
    import vqcodec.reading.random_access as random_access

    books = codec.intra.books.hyper_alone(), codec.inter.books.hyper_alone()
    monkeypatch.setattr(file_heads, "_books", lambda *a: books)
    monkeypatch.setattr(random_access, "_codec", lambda *a: codec)
    monkeypatch.setattr(weights, "load_codec", lambda *a: codec)
    monkeypatch.setattr(weights, "read_model_id", lambda path=None: codec.model_id)


def test_fuzz(tiny_codec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs for FUZZ_SECONDS from FUZZ_SEED (else: the clock), with all targets or those of
    FUZZ_TARGETS."""
    seconds, seed = (
        float(os.environ.get("FUZZ_SECONDS", "60")),
        int(os.environ.get("FUZZ_SEED", time.time_ns() % 10**9)),
    )
    stand_in(monkeypatch, tiny_codec)
    fuzzer = Fuzzer(tiny_codec, tmp_path, seed)
    KEPT.mkdir(parents=True, exist_ok=True)
    current = KEPT / "current"
    if current.exists():  # the last run ended within it
        target, _, data = current.read_bytes().partition(b"\n")
        fuzzer.save(target.decode(), data, "ended the run before")
    for path in sorted(KEPT.glob("*.bin")):
        fuzzer.seeds.get(path.name.split("-")[0], []).append(path.read_bytes())
    known = {kind: len(seeds) for kind, seeds in fuzzer.seeds.items()}
    for target, (kind, _) in fuzzer.targets.items():  # the first use compiles and imports
        fuzzer.targets[target][1](fuzzer.seeds[kind][0])
    begin = time.monotonic()
    names = os.environ.get("FUZZ_TARGETS", " ".join(fuzzer.targets)).split()
    with current.open("r+b" if current.exists() else "w+b") as file:
        original = fuzzer.execute

        def execute(target: str, data: bytes) -> str:
            file.seek(0)
            file.truncate()
            file.write(target.encode() + b"\n" + data)
            file.flush()
            return original(target, data)

        monkeypatch.setattr(fuzzer, "execute", execute)
        while time.monotonic() - begin < seconds:
            for name in names:
                fuzzer.step(name)
    current.unlink(missing_ok=True)
    fuzzer.canary.close()
    for kind, seeds in fuzzer.seeds.items():
        for data in seeds[known[kind] :]:
            (KEPT / f"{kind}-{hashlib.sha256(data).hexdigest()[:8]}.bin").write_bytes(data)
    each = ", ".join(f"{k} {v}" for k, v in fuzzer.done.items())
    took = time.monotonic() - begin
    print(
        f"\nseed {seed}, {took:.0f} s: {sum(fuzzer.done.values())} inputs ({each}), "
        f"{len(fuzzer.outcomes)} outcomes, {len(fuzzer.findings)} findings"
    )
    assert not fuzzer.findings
