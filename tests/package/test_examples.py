"""The programs in examples/: they run, and use public names only."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import shot_model
from support.paths import ROOT

import vqcodec
from vqcodec.analysis.model import ShotModel

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_use_public_names_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    ours = {name for name in modules if name and name.split(".")[0] == "vqcodec"}
    assert ours == {"vqcodec"}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "vqcodec"
    }
    assert used <= set(vqcodec.__all__)


def test_arrays_become_a_video_and_frames_tensors(tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vqv"
    error = example("arrays_to_video").run(out, weights=str(tiny_weights))
    assert out.stat().st_size > 0
    assert error < 30  # the tiny model is not a good one; another picture is 60 off


@pytest.fixture(scope="module")
def coded(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 frames of 96x64."""
    path = tmp_path_factory.mktemp("examples") / "in.vqv"
    frames = np.random.default_rng(0).integers(0, 256, (14, 3, 64, 96), dtype=np.uint8)
    with vqcodec.Writer(path, 25, crf=40, gop=8, preset="fast", weights=tiny_weights) as writer:
        writer.write(frames)
    return path


def test_tokens_become_arrays(coded: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokens.npz"
    words = example("tokens_to_numpy").run(coded, out, weights=str(tiny_weights))
    with np.load(out) as arrays:
        kinds, frames = arrays["kinds"], arrays["frames"]
        ids = [arrays[f"ids_{n}"] for n in range(len(frames))]
        places = [arrays[f"places_{n}"] for n in range(len(frames))]
        vocabulary = int(arrays["vocabulary"])
    assert kinds[0] == "I"
    assert frames[0] == 0
    assert sum(map(len, ids)) == words > 0
    assert all(array.min() >= 0 and array.max() < vocabulary for array in ids)
    assert [place.shape for place in places] == [(len(array), 4) for array in ids]


def test_a_sheet_shows_frames_of_all_the_video(
    coded: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    options: dict[str, Any] = {"columns": 3, "rows": 2, "weights": str(tiny_weights)}
    assert example("thumbnail_sheet").run(coded, out, **options) == (480, 214)
    sheet = np.asarray(Image.open(out)).astype(int)
    parts = [sheet[y : y + 107, x : x + 160] for y in (0, 107) for x in (0, 160, 320)]
    assert all(part.std() > 1 for part in parts)  # none is left black
    assert np.abs(parts[0] - parts[-1]).mean() > 1


def test_shots_are_a_dataset(
    coded: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classmethod(lambda cls, path=None: shot_model.reading)
    monkeypatch.setattr(ShotModel, "load", model)
    dataset = example("shots_dataset").Shots(coded, str(tiny_weights))
    assert [(s.start, s.end) for s in dataset.shots] == [(0, 8), (8, 14)]
    frames, number = dataset[1]
    with vqcodec.open(coded, weights=tiny_weights) as video:
        assert (frames == video.get_frames_at([8, 10, 11, 13]).data).all()
    assert (number, len(dataset)) == (1, 2)
    assert example("shots_dataset").run(coded, str(tiny_weights)) == 2


def test_tokens_tell_clips_apart(tmp_path: Path) -> None:
    """Those of the released nets: random ones add nothing to most tiles, and so have no tokens."""
    assert example("classify_tokens").run(tmp_path, clips=12) >= 0.75
