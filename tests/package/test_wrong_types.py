"""Whatever a public function or method is given, it is taken or refused by an error of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import header, moving, write

import vqcodec
from vqcodec.errors import UsageError, VqvError
from vqcodec.system.stdio import PIPE

pytestmark = pytest.mark.usefixtures("one_thread")
JUNK = ("nonsense", b"\xff", 1j, object(), [], [[]], ["a"], {"a": 1}, -1, 1e300, float("nan"), None)
# classes that the library makes, of which users are given objects
MADE = {
    "DecodeReport",
    "Embedding",
    "EncodeReport",
    "Estimate",
    "FileInfo",
    "Frame",
    "FrameBatch",
    "FrameTokens",
    "JoinReport",
    "Motion",
    "Planes",
    "ProgressEvent",
    "ShallowTokens",
    "Shot",
    "TokenSequence",
    "VerifyReport",
    "VideoMetadata",
    "VideoReader",
    "Vocabulary",
}
METHODS = {
    "VideoReader": {"close": {}, "at": {"seconds": 0.0}, "get_frame_at": {"index": 0}}
    | {"get_frames_at": {"indices": [0]}, "get_frame_played_at": {"seconds": 0.0}}
    | {"get_frames_played_at": {"seconds": [0.0]}}
    | {"get_frames_in_range": {"start": 0, "stop": 1, "step": 1}}
    | {"get_frames_played_in_range": {"start_seconds": 0.0, "stop_seconds": 0.01}}
    | {"tokens": {"start": 0, "stop": 1, "max_level": 0, "shallow": True}}
    | {"motion": {"start": 0, "stop": 1}, "embedding": {"start": 0, "stop": 1}}
    | {"shots": {"threshold": 0.5, "min_seconds": 0.0}},
    "Vocabulary": {"sequence": {}},
    "Writer": {"write": {"frames": np.zeros((3, 16, 16), np.uint8)}, "close": {}, "abort": {}},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    write(path, header(16, 16), moving(16, 16, 2, seed=4), [0, 40], vcodec="ffv1")
    return path


@pytest.fixture(scope="module")
def coded(clip: Path, tiny_weights: Path) -> Path:
    path = clip.with_name("a.vqv")
    vqcodec.encode(clip, path, crf=40, preset="fast", threads=1, device="cpu", weights=tiny_weights)
    return path


def _ours_only(call: Callable[..., object], where: str, **arguments: Any) -> None:
    try:
        call(**arguments)
    except VqvError as exc:
        assert str(exc), where
    except Exception as exc:
        pytest.fail(f"{where} raises {type(exc).__name__}: {exc}")


def _parameters(function: Any) -> Iterator[str]:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD or parameter.kind is (
            parameter.KEYWORD_ONLY
        ):
            yield name


def _functions(folder: Path, clip: Path, coded: Path, weights: Path) -> dict[str, Any]:
    """Arguments that each function takes."""
    out = {"weights": weights, "overwrite": True}
    quick = {"preset": "fast", "threads": 1, "device": "cpu"}
    return {
        "decode": {"src": coded, "dst": folder / "a.y4m", **out},
        "encode": {"src_path": clip, "dst_path": folder / "a.vqv", **out, **quick},
        "estimate": {"src_path": clip, "weights": weights, **quick},
        "info": {"path": coded},
        "join": {"parts": [coded], "dst": folder / "a.vqv", "overwrite": True},
        "open": {"source": coded, "weights": weights},
        "verify": {"path": coded, "weights": weights},
        "Writer": {"path": folder / "a.vqv", "fps": 25, **out},
        "DecodeOptions": {},
        "EncodeOptions": {},
        "Limits": {},
        "Time": {"frames": 1},
    }


def test_no_public_name_is_left_out(tmp_path: Path) -> None:
    public = {name for name in vqcodec.__all__ if callable(getattr(vqcodec, name))}
    errors = {name for name in public if name.endswith("Error")}
    assert public - errors - MADE == set(_functions(tmp_path, tmp_path, tmp_path, tmp_path))
    for name, methods in METHODS.items():
        own = {n for n, _ in inspect.getmembers(getattr(vqcodec, name), inspect.isfunction)}
        assert {n for n in own if not n.startswith("_")} == set(methods)


@pytest.mark.parametrize("name", sorted(_functions(Path(), Path(), Path(), Path())))
def test_functions(
    name: str,
    clip: Path,
    coded: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(vqcodec, name)
    good = _functions(tmp_path, clip, coded, tiny_weights)[name]
    for parameter in _parameters(function):
        optional = inspect.signature(function).parameters[parameter].default is None
        for value in JUNK[: len(JUNK) - optional]:  # None, the last, is the default there
            _ours_only(function, f"{name}({parameter}={value!r})", **{**good, parameter: value})


def test_methods_of_a_reader(coded: Path, tiny_weights: Path) -> None:
    with vqcodec.open(coded, weights=tiny_weights) as video:
        for name, good in METHODS["VideoReader"].items():
            for parameter in good:
                for value in JUNK:
                    call = getattr(video, name)
                    where = f"{name}({parameter}={value!r})"
                    _ours_only(call, where, **{**good, parameter: value})
        batch = video[:1], video.get_frames_at([0])
        for value in JUNK:
            for bounds in ((value, 1, 1), (0, value, 1), (0, 1, value), (0, 1, 0)):
                _ours_only(video.__getitem__, f"[{bounds}]", key=slice(*bounds))
            _ours_only(video.__getitem__, f"[{value!r}]", key=value)
            _ours_only(batch[1].__getitem__, f"batch[{value!r}]", key=value)
            _ours_only(video.vocabulary.sequence, f"sequence({value!r})", tokens=value)


def test_methods_of_a_writer(tmp_path: Path, tiny_weights: Path) -> None:
    frames = METHODS["Writer"]["write"]["frames"]
    for value in (*JUNK, *([value] * 3 for value in JUNK), (frames, 1, 2)):
        writer = vqcodec.Writer(tmp_path / "a.vqv", 25, weights=tiny_weights)
        _ours_only(writer.write, f"write({value!r})", frames=value)
        writer.abort()


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda coded, _: vqcodec.open(coded, cache_bytes="x"), "cache_bytes"),  # type: ignore[call-overload]
        (lambda coded, w: vqcodec.open(coded, weights=w).at("x"), "seconds"),  # type: ignore[arg-type]
        (
            lambda coded, w: vqcodec.open(coded, weights=w).get_frames_played_in_range("a", 1),  # type: ignore[arg-type]
            "start_seconds",
        ),
        (lambda *_: vqcodec.Writer("a.vqv", 25, chroma_location=[]), "chroma_location"),  # type: ignore[arg-type]
        (lambda *_: vqcodec.Writer("a.vqv", "x"), "fps"),
        (lambda *_: vqcodec.encode("a", PIPE, overwrite="x"), "overwrite"),  # type: ignore[arg-type]
    ],
)
def test_the_argument_is_named(
    call: Callable[[Path, Path], object], option: str, coded: Path, tiny_weights: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        call(coded, tiny_weights)
    assert caught.value.option == option
    assert str(caught.value).startswith(f"{option}: ")
