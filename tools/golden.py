#!/usr/bin/env python3
"""Make the golden files of this version of the format: small .vqv files, the tiny model that they
were made with, and the MD5s of their pixels.

    tools/golden.py              # into tests/golden/vN; refuses where that exists
    tools/golden.py --force      # replaces it: for a version that was never released

The files are made once for each version of the format and stay for ever: `test_golden.py` decodes
those of every version. A changed MD5 means a changed decoder, never a reason to run this again.
Files of a draft may be replaced. Where the decoder no longer reads them as it did, the draft needs
another number first (DRAFT in `vqcodec/container/packets.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from vqcodec.codec.weights import read_weights, save
from vqcodec.container.packets import VERSION
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.errors import InputError, VqvError
from vqcodec.options import DecodeOptions, EncodeOptions, changed
from vqcodec.picture import Picture
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.values import EncodeChanges

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conftest import make_models, make_weights  # noqa: E402
from support.clips import faded, header, letterboxed, letters, moving, picture, write  # noqa: E402

MODEL = "tiny.safetensors"


# Frames go through the nets. Nets without training predict nothing better than the motion does:
# by the presets all blocks of frames with references would be direct.
THROUGH_NETS = RateParameters(
    detail_share=1.0, direct_gain=9000.0, paint_gain=9000.0, tile_bits=0.0, intra_tile_levels=0
)
IN_SOME_TILES = replace(THROUGH_NETS, tile_bits=400.0, detail_share=0.1)
NO_INTRA_TILES = RateParameters(intra_tile_levels=0)
# some tiles are intra tiles, whatever the frame costs
INTRA_TILES = RateParameters(
    detail_share=1.0,
    direct_gain=9000.0,
    intra_tile_levels=7,
    intra_tile_bits=0.0,
    intra_tile_bad=0.3,
    intra_tile_hope=1e9,
    intra_tile_gain=-50.0,
    intra_tile_share=0.0,
    intra_gain=-1e12,
)


def flashes_and_repeats() -> list[Picture]:
    """Every picture twice, with a flash of one frame and one of three."""
    pictures = [p for p in moving(70, 51, 14, seed=7) for _ in range(2)]
    for i in (5, 18, 19, 20):
        pictures[i] = Picture(*(255 - plane // 8 for plane in pictures[i]))
    return pictures


def page_beside_picture() -> list[Picture]:
    """Letters on the right of something that moves: painted blocks and latents in one frame."""
    pairs = zip(moving(64, 64, 18, seed=2, speed=(1.25, -2.5)), letters(64, 64, 18), strict=True)
    return [
        Picture(*(np.concatenate(planes, 1) for planes in zip(*pair, strict=True)))
        for pair in pairs
    ]


def page_beside_scenes() -> list[Picture]:
    """The same, and a part of the picture becomes another one."""
    pictures, other = page_beside_picture()[:9], moving(32, 64, 9, seed=11)
    for old, new in zip(pictures[5:], other[5:], strict=True):
        for plane, part in zip(old, new, strict=True):
            plane[:, : part.shape[1]] = part
    return pictures


def sources() -> dict[str, tuple[list[Picture], EncodeOptions]]:
    """Name, pictures and options of each file. All kinds of frames, sizes from 1x1, odd sizes, a
    scene cut, a fade, 10 bits, detail, escapes, letters."""

    def options(**chosen: Unpack[EncodeChanges]) -> EncodeOptions:
        without = EncodeOptions(threads=1, device="cpu", preset=NO_INTRA_TILES)
        return changed(without, chosen)

    return {
        "one-sample": (moving(1, 1, 3), options(crf=20)),
        "small-10-bit": (moving(33, 17, 20, seed=1, ten_bit=True), options(crf=12)),
        "motion": (moving(64, 64, 36, seed=2, speed=(1.25, -2.5)), options(crf=24)),
        "scene-cut": (
            moving(70, 51, 9, seed=3, speed=(0.1, 0.25)) + moving(70, 51, 4, seed=8),
            options(crf=22),
        ),
        "fade": (
            faded(moving(96, 70, 18, seed=9, speed=(0.5, 1.0)), [1 - i / 17 for i in range(18)]),
            options(crf=24),
        ),
        # nothing of the last picture is in the ones before
        "other-scene": (
            [*faded(moving(70, 51, 4, seed=3), [0.0] * 4), picture(70, 51)],
            options(crf=30),
        ),
        "short-gops": (moving(65, 38, 7, seed=4), options(crf=44, gop=3)),
        "latents": (moving(96, 70, 18, seed=6), options(crf=26, preset=THROUGH_NETS)),
        "tiles": (moving(96, 70, 9, seed=6), options(crf=22, preset=IN_SOME_TILES)),
        "noise": ([picture(40, 24, i) for i in range(3)], options(crf=0)),
        "page-beside-picture": (
            page_beside_picture(),
            options(
                crf=26,
                preset=replace(NO_INTRA_TILES, detail_share=1.0, direct_gain=9000.0),
            ),
        ),
        "intra-tiles": (page_beside_scenes(), options(crf=30, preset=INTRA_TILES)),
        "letters": (letters(75, 57, 6), options(crf=10)),
        "letterbox": (
            letterboxed(moving(70, 51, 9, seed=7), 5, 4, 0, 3),
            options(crf=24, preset=IN_SOME_TILES),
        ),
        "lowest-quality": (moving(50, 66, 4, seed=5), options(crf=63)),
        "flashes-and-repeats": (flashes_and_repeats(), options(crf=24)),
    }


def _without_analysis(model: Path) -> None:
    """Leave out what only encoders need: the files are for decoders, and small."""
    file = read_weights(model)
    save(model, file.tensors, file.shapes())


def demand_another_draft(folder: Path) -> None:
    """Leave where a file of the present draft is no longer read as it was."""
    listed = json.loads((folder / "golden.json").read_text())
    for name, entry in listed["files"].items():
        coded = folder / f"{name}.vqv"
        try:
            same = _pixels(coded, folder / listed["model"]) == entry["md5"]
        except InputError:  # of another draft already
            continue
        except VqvError:
            same = False
        if not same:
            raise SystemExit(
                f"{coded} is of this draft and is read otherwise now: count DRAFT up in"
                " vqcodec/container/packets.py, and in docs/format.md and tests/reference"
            )


def _pixels(coded: Path, model: Path) -> str:
    """MD5 of all pictures of a file."""
    with tempfile.TemporaryDirectory() as temp:
        raw = Path(temp) / "pictures.yuv"
        options = DecodeOptions(threads=1, device="cpu", strict=True)
        decode(str(coded), str(raw), options, weights=str(model))
        return hashlib.md5(raw.read_bytes()).hexdigest()


def main() -> None:
    """Write the golden files of this version, unless they are there already."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument(
        "--force",
        action="store_true",
        help="replace the files of a version that was never released",
    )
    args = ap.parse_args()
    folder = ROOT / "tests" / "golden" / f"v{VERSION}"
    if folder.exists() and not args.force:
        raise SystemExit(f"{folder} is there: golden files of a version are made once")
    if folder.exists():
        demand_another_draft(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = make_weights(make_models(), folder / MODEL)
    files = {}
    with tempfile.TemporaryDirectory() as temp:
        for name, (pictures, options) in sources().items():
            height, width = pictures[0].y.shape
            depth = 10 if pictures[0].ten_bit else 8
            source = write(
                Path(temp) / f"{name}.mkv",
                header(width, height, bit_depth=depth),
                pictures,
                vcodec="ffv1",
            )
            coded = folder / f"{name}.vqv"
            report = encode(str(source), str(coded), options, weights=str(model))
            files[name] = dict(
                width=width,
                height=height,
                depth=depth,
                frames=report.frames,
                gops=report.gops,
                md5=_pixels(coded, model),
            )
            print(f"{coded.stat().st_size:6} bytes  {name}: {files[name]}")
    _without_analysis(model)
    (folder / "golden.json").write_text(
        json.dumps({"model": MODEL, "files": files}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
