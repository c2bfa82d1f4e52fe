"""The reference decoder, written from docs/format.md alone, gives the pixels of the product: what
the page says is what the product does."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from reference import deblocking, detail, interpolate, latents, motion, painted
from reference.container import Bad
from reference.decode import checksum
from support.clips import faded, moving, picture
from support.golden_files import FILES, every_file, weights
from support.paths import DATA

from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model

PARTS = sorted(Path(reference.__file__).parent.glob("*.py"))


def raw(pictures: list[list[np.ndarray]]) -> bytes:
    """The samples as a .yuv file holds them."""
    return b"".join(
        p.astype("<u2" if p.dtype != np.uint8 else "u1").tobytes()
        for planes in pictures
        for p in planes
    )


def test_the_reference_decoder_is_independent() -> None:
    """It uses numpy, zstd and the standard library, and nothing of the product."""
    for path in PARTS:
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert all(
                n.split(".")[0] in {"numpy", "zstandard", *sys.stdlib_module_names} for n in names
            ), path
    assert len(PARTS) >= 9


@cache
def decoded(folder: Path, name: str) -> tuple[Any, list[Any], Counter[str]]:
    """A golden file as the reference decoder reads it, and the rarer ways that it came by."""
    with pytest.MonkeyPatch.context() as patch:
        seen = spies(patch)
        model = reference.load_model(weights(folder))
        return *reference.decode_file(folder / f"{name}.vqv", model), seen


def spies(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts how often the reference decoder comes by its rarer ways."""
    seen: Counter[str] = Counter()

    def spy(module: Any, name: str, note: Any) -> None:
        original = getattr(module, name)

        def wrapped(*args: Any) -> Any:
            result = original(*args)
            for key in note(result, *args):
                seen[key] += 1
            return result

        patch.setattr(module, name, wrapped)

    spy(reference.decode, "quality_difference", lambda d, *a: ["other quality"] if d else [])
    spy(motion.MotionDecoder, "merge", lambda r, *a: ["merged"])
    spy(motion.MotionDecoder, "explicit", lambda r, *a: [f"direction {r[0]}"])
    spy(motion.MotionDecoder, "temporal", lambda r, *a: ["temporal"] if r else [])
    spy(motion.MotionDecoder, "block", lambda r, s, y, x, depth: [f"depth {depth}"])
    spy(latents, "number", lambda n, *a: ["escape"])
    spy(latents, "group", lambda r, s, tables, books, t, *a: [f"dimension {books.dims[t]}"])
    spy(reference.decode, "hyper", lambda z, *a: ["hyper"] if z.any() else [])
    spy(
        detail,
        "levels",
        lambda l, s, mode, chroma: (
            [f"mode {mode}", f"chroma {chroma}"] + ["long level"] * (max(map(abs, l)) > 15)
        ),
    )
    spy(reference.decode, "weight_sets", lambda w, *a: ["weights"] if w else [])
    spy(interpolate, "weighted", lambda *a: ["weighted block"])
    spy(reference.decode, "intra", lambda i, *a: ["frame without prediction"] if i else [])
    spy(reference.decode, "copied", lambda i, *a: [] if i is None else [f"copy {i}"])
    spy(reference.decode, "structure", lambda o, *a: [f"level {p.level}" for p in o])
    spy(reference.decode, "strength_index", lambda i, *a: ["deblocked"] if i else [])
    spy(reference.decode, "frame_filters", lambda f, *a: [f"filtered {f[0]}"] if f[0] else [])
    spy(reference.decode, "frame_bars", lambda b, *a: ["bars"] if any(b.sizes) else [])
    spy(deblocking, "luma", lambda new, old, *a: ["smoothed"] if new != old else [])
    spy(deblocking, "strong", lambda *a: ["flat border"])
    spy(deblocking, "chroma", lambda new, old, *a: ["smoothed chroma"] if new != old else [])
    spy(deblocking, "stepping", lambda r, *a: ["motion border"] if r else [])
    spy(reference.decode, "direct_blocks", lambda d, *a: ["direct"] if d.any() else [])
    spy(reference.decode, "intra_tiles", lambda t, *a: ["intra tiles"] if t.any() else [])
    paint = painted.Painter
    spy(paint, "guessed", lambda v, *a: ["novel"] if v is None else [])
    spy(paint, "learn_direct", lambda r, *a: ["learnt from direct blocks"])
    spy(painted, "colour", lambda r, *a: ["one colour"])
    spy(reference.decode, "painted_blocks", lambda r, *a: [f"follow {r[1]}"] if r else [])
    return seen


@every_file
def test_golden_files(folder: Path, name: str, entry: dict[str, Any]) -> None:
    file, pictures, _ = decoded(folder, name)
    assert (file.header.width, file.header.height, file.header.depth, len(file.gops)) == (
        entry["width"],
        entry["height"],
        entry["depth"],
        entry["gops"],
    )
    assert len(pictures) == entry["frames"]
    assert hashlib.md5(raw(pictures)).hexdigest() == entry["md5"]


def test_golden_files_reach_every_part_of_the_page() -> None:
    newest = FILES[-1][0]
    ways = (decoded(folder, name)[2] for folder, name, _ in FILES if folder == newest)
    reached = sum(ways, Counter[str]())
    want = {"direct", "other quality", "merged", "temporal", "escape", "hyper", "long level"}
    want |= {"weights", "weighted block", "frame without prediction"}
    want |= (
        {f"direction {i}" for i in (1, 2, 3)}
        | {f"depth {i}" for i in range(4)}
        | {f"level {i}" for i in range(8)}
        | {"copy 0", "copy 1"}
        | {f"dimension {i}" for i in (0, 1, 2, 4)}
    )
    want |= {"deblocked", "smoothed", "flat border", "smoothed chroma", "motion border"}
    want |= {"bars"} | {f"filtered {i}" for i in (1, 2)}
    want |= {"intra tiles", "novel", "learnt from direct blocks", "one colour"}
    want |= {f"follow {i}" for i in (0, 1)}
    want |= {f"{k} {i}" for k in ("mode", "chroma") for i in (0, 1)}
    assert want <= reached.keys(), want - reached.keys()
    assert min(reached[k] for k in want - {"level 7", "copy 1"}) >= 3, reached


CASES = [
    (1, 1, 3, 30, False),
    (2, 3, 9, 40, False),
    (17, 9, 2, 20, True),
    (65, 64, 3, 5, False),
    (100, 70, 18, 34, False),
]
MORE = [
    (w, h, n, crf, ten)
    for i, (w, h) in enumerate([(1, 130), (129, 3), (64, 64), (127, 65), (31, 33)])
    for n, crf, ten in ((35, 63, False), (1, 0, True), (4 + i, 10, False))
]


@pytest.mark.parametrize(
    ("width", "height", "frames", "crf", "ten_bit"),
    [*CASES, *(pytest.param(*c, marks=pytest.mark.slow) for c in MORE)],
)
def test_fresh_gops(
    tiny_weights: Path,
    tiny_codec: Any,
    width: int,
    height: int,
    frames: int,
    crf: int,
    ten_bit: bool,
) -> None:
    pictures = (
        moving(width, height, frames, seed=width, ten_bit=ten_bit)
        if crf
        else [picture(width, height, i, ten_bit) for i in range(frames)]
    )
    r = encode_gop(tiny_codec, pictures, crf)
    assert (
        checksum(
            reference.decode_gop(reference.load_model(tiny_weights), r.body, frames, width, height)
        )
        == r.checksum
    )


def test_fresh_fades(tiny_weights: Path, tiny_codec: Any) -> None:
    """Weights of one list and of two, and frames coded without prediction."""
    width, height, frames = 65, 64, 11
    gains = [abs(i - 4) / 6 for i in range(frames)]
    pictures = faded(moving(width, height, frames, seed=5), gains)
    model = reference.load_model(tiny_weights)
    for crf in (10, 34):
        r = encode_gop(tiny_codec, pictures, crf)
        decoded = reference.decode_gop(model, r.body, frames, width, height)
        assert checksum(decoded) == r.checksum


def test_the_weights_of_the_project() -> None:
    """The nets in their real sizes: an I, a P and a B frame of the bundled clip."""
    from vqcodec.codec.weights import default_path
    from vqcodec.training.pictures import read_clip

    pictures = read_clip(DATA / "tiny.mkv", limit=3)
    h, w = pictures[0].y.shape
    r = encode_gop(load_model(device="cpu", threads=1), pictures, 20)
    assert (
        checksum(reference.decode_gop(reference.load_model(default_path()), r.body, 3, w, h))
        == r.checksum
    )


def test_damage_is_refused(tmp_path: Path) -> None:
    """The reference reader checks what the page tells it to: each byte of a file that is changed is
    noticed."""
    folder, name, _ = FILES[0]
    data = (folder / f"{name}.vqv").read_bytes()
    reference.read_file(data)
    for i in range(len(data)):
        with pytest.raises(Bad):
            reference.read_file(data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :])
    with pytest.raises(Bad):
        reference.read_file(data + b"\0")
