"""Golden files of every version of the format decode to the pixels they always had. Never change a
file or an MD5 of a released version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.golden_files import FILES, every_file, weights
from support.paths import GOLDEN

from vqcodec.container.packets import VERSION
from vqcodec.options import DecodeOptions
from vqcodec.pipeline.decode import decode
from vqcodec.reading.info import info
from vqcodec.reading.verify import verify


def test_this_version_has_golden_files() -> None:
    names = {path.name for path in GOLDEN.iterdir()}
    assert names == {f"v{n}" for n in range(VERSION + 1)}
    for folder in GOLDEN.iterdir():
        listed = {f"{name}.vqv" for f, name, _ in FILES if f == folder}
        assert listed == {path.name for path in folder.glob("*.vqv")}
        assert len(listed) >= 7
    assert sum(
        path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()
    ) <= 300_000 * len(names)


@every_file
def test_one_golden_file_goes_through_the_nets(
    folder: Path, name: str, entry: dict[str, Any]
) -> None:
    """Else no golden file would notice a change of the nets for frames with references."""
    if name != "latents":
        pytest.skip("of other syntax")
    found = info(folder / f"{name}.vqv", bits=True, weights=weights(folder)).to_json()
    levels = found["bits"]["levels"]
    predicted = [level for level in levels if "direct" in level]
    assert predicted
    assert max(level["direct"] for level in predicted) <= 0.5
    assert min(level["bits"]["latent"] for level in predicted) > 100


@every_file
def test_the_nets_of_one_golden_file_run_in_some_tiles(
    folder: Path, name: str, entry: dict[str, Any]
) -> None:
    """Else none would notice what the nets see beside coded tiles."""
    if name != "tiles":
        pytest.skip("of other syntax")
    levels = info(folder / f"{name}.vqv", bits=True, weights=weights(folder)).to_json()["bits"]
    shares = [level["coded"] for level in levels["levels"] if "coded" in level]
    assert sum(0.2 < share < 0.8 for share in shares) >= 2


@every_file
@pytest.mark.parametrize("backend", ["fused", "float32"])
def test_pixels_of_golden_files(
    folder: Path,
    name: str,
    entry: dict[str, Any],
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: None,
) -> None:
    monkeypatch.setenv("VQCODEC_BACKEND", backend)
    options, coded, raw = (
        DecodeOptions(threads=1, device="cpu"),
        str(folder / f"{name}.vqv"),
        tmp_path / "out.yuv",
    )
    report = decode(coded, str(raw), options, weights=str(weights(folder)))
    assert report.ok
    assert (report.frames, report.gops) == (entry["frames"], entry["gops"])
    assert hashlib.md5(raw.read_bytes()).hexdigest() == entry["md5"]
    assert verify(coded, weights=str(weights(folder)), options=options).ok
