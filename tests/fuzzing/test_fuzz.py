from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzz import FINDINGS, Finding, Fuzzer, stand_in


@pytest.fixture
def fuzzer(
    tiny_codec: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Fuzzer]:
    stand_in(monkeypatch, tiny_codec)
    made = Fuzzer(tiny_codec, tmp_path, getattr(request, "param", 1))
    yield made
    made.canary.close()


@pytest.mark.parametrize("path", sorted(FINDINGS.glob("*.bin")), ids=lambda p: p.name)
def test_findings_stay_fixed(fuzzer: Fuzzer, path: Path) -> None:
    fuzzer.execute(path.name.split("-")[0], path.read_bytes())


# 3000 in parts, by the fuzzer's seed: each ends long before the limit of time on a busy machine
@pytest.mark.parametrize(
    ("fuzzer", "count"),
    [(1, 60), *(pytest.param(seed, 500, marks=pytest.mark.slow) for seed in range(1, 7))],
    indirect=["fuzzer"],
)
def test_changed_files_end_in_success_or_in_our_errors(
    fuzzer: Fuzzer, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        fuzzer, "save", lambda target, data, why: pytest.fail(f"{target}: {why}: {data.hex()}")
    )
    for _ in range(count):
        for target in fuzzer.targets:
            fuzzer.step(target)
    assert len(fuzzer.outcomes) > 40


@pytest.mark.parametrize("kind", ["file", "body", "payload"])
def test_kept_inputs_of_any_length_are_changed(fuzzer: Fuzzer, kind: str) -> None:
    """One of a single byte once ended the fuzzer itself."""
    for length in range(4):
        for _ in range(100):
            assert isinstance(fuzzer.mutate(kind, b"\x81" * length), bytes)


def test_the_seeds_are_whole(fuzzer: Fuzzer) -> None:
    """And so the fuzzer gets behind the first checks; its grammar gives back the file that it took
    apart."""
    from support.grammar import File

    for kind in ("file", "decode", "output"):
        for data in fuzzer.seeds[kind]:
            assert File.parse(data).build() == data
    assert fuzzer.execute("decode", fuzzer.seeds["decode"][0]) == "ok True, concealed False"
    assert fuzzer.execute("body", fuzzer.seeds["body"][0]) == "decoded"
    assert fuzzer.execute("verify", fuzzer.seeds["file"][0]) == "0"


def test_what_must_not_be_read_is_noticed(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target for outputs finds what it is there for, were the door for samples not shut."""
    import av

    import vqcodec.media.track_muxer as remux

    for data in fuzzer.seeds["output"]:
        fuzzer.execute("output", data)
    monkeypatch.setattr(remux, "SAMPLE_FORMATS", (*remux.SAMPLE_FORMATS, "hls", "concat"))

    def opened(kind: str, data: bytes) -> Any:
        return av.open(io.BytesIO(data), format=kind, timeout=1)

    monkeypatch.setattr(remux, "open_sample", opened)
    said = []
    for data in fuzzer.seeds["output"]:
        try:
            fuzzer.execute("output", data)
        except Finding as exc:
            said.append(str(exc))
    assert any("another file is in the output" in text for text in said), said
    assert any("the network was asked" in text for text in said), said


def test_what_must_not_happen_is_noticed(fuzzer: Fuzzer, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    def slow(data: bytes) -> str:
        begin = time.process_time()
        while time.process_time() - begin < 0.2:
            pass
        return "done"

    monkeypatch.setattr("fuzz.SECONDS_EACH", 0.1)
    monkeypatch.setattr("fuzz.MEMORY_EACH", 1 << 20)
    for bad in (lambda data: str(1 // 0), slow, lambda data: str(np.ones(1 << 27, np.uint8).sum())):
        fuzzer.targets["body"] = ("body", bad)
        with pytest.raises(Finding):
            fuzzer.execute("body", b"")
