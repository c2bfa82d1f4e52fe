#!/usr/bin/env python3
"""Quick rate-distortion check of one change: BD-rate against x264 and x265 on a few clips, GOPs
coded in this process.

    tools/ablate.py --clips ../shared/corpus/train/davis-tennis.mkv --set vq_lambda=0.12 --offsets
    5,0,-3,-5,-9,-13,-18,-18

Uses the anchors and the BD-rate of ``vqcodec bench``, and its cache; 60 bytes are added for the
container. docs/design/ quotes it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.bench.anchors import parse_anchor
from vqcodec.bench.bd_rate import bd_rate
from vqcodec.bench.clip_run import ClipRun
from vqcodec.bench.clips import make_reference
from vqcodec.bench.options import BenchOptions
from vqcodec.bench.records import curve
from vqcodec.bench.store import Store, default_folder
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import EncoderModel, load_model
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.picture import Picture
from vqcodec.training.pictures import read_clip

CONTAINER_BITS = 60 * 8


def encode(
    codec: EncoderModel, pictures: list[Picture], crf: float, rate: RateParameters, verbose: bool
) -> dict[str, float]:
    """bpp and mean PSNR of one GOP, as the benchmark measures them."""
    h, w = pictures[0].y.shape
    n, start = len(pictures), time.time()
    r = encode_gop(codec, pictures, crf, rate)
    psnr = [np.average(np.array(s["psnr"], float), weights=(6, 1, 1)) for s in r.stats]
    out = {"bpp": (len(r.body) * 8 + CONTAINER_BITS) / n / h / w, "psnr": float(np.mean(psnr))}
    if verbose:
        total: dict[str, float] = {}
        for s in r.stats:
            for k, v in s["bits"].items():
                total[k] = total.get(k, 0) + v / 8
            total[f"level {s['level']}"] = total.get(f"level {s['level']}", 0) + s["bytes"]
        print(
            f"  crf {crf:g} {out['bpp']:.4f} bpp {out['psnr']:.2f} dB, bytes",
            {k: round(v) for k, v in total.items()},
            f"{n / (time.time() - start):.1f} fps",
        )
    return out


def arguments() -> argparse.Namespace:
    """What the command line says."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--clips", nargs="+", required=True)
    ap.add_argument("--frames", type=int, default=33)
    ap.add_argument("--crf", default="16,26,36,46")
    ap.add_argument("--weights")
    ap.add_argument("--offsets", help="quality offsets of the levels")
    ap.add_argument("--set", default="", help="fields of RateParameters: name=value,...")
    ap.add_argument(
        "--cache",
        type=Path,
        default=default_folder(),
        help="folder in which results of anchors are kept",
    )
    ap.add_argument("-v", action="store_true")
    return ap.parse_args()


def main() -> None:
    """Encode the clips with the changed parameters, and print their BD-rates against the
    anchors."""
    a = arguments()
    torch.set_num_threads(1)
    values: dict[str, Any] = {k: float(v) for k, v in (x.split("=") for x in a.set.split(",") if x)}
    if a.offsets:
        values["level_offsets"] = tuple(int(x) for x in a.offsets.split(","))
    rate = RateParameters(**values)
    codec = load_model(a.weights)
    store, anchors = Store(a.cache), [parse_anchor("x264"), parse_anchor("x265")]
    rows: dict[str, list[float | None]] = {}
    for clip in map(Path, a.clips):
        pictures = read_clip(clip, limit=a.frames)
        points = [encode(codec, pictures, float(c), rate, a.v) for c in a.crf.split(",")]
        cells = []
        with tempfile.TemporaryDirectory() as folder:
            measured = ClipRun(
                make_reference(clip, clip.stem, Path(folder), a.frames),
                BenchOptions(),
                store,
                Path(folder),
            )
            for anchor in anchors:
                bd = bd_rate(
                    curve([measured.anchor(anchor, crf) for crf in anchor.crfs], "psnr"),
                    [(p["bpp"], p["psnr"]) for p in points],
                ).percent
                rows.setdefault(anchor.name, []).append(bd)
                cells.append(
                    f"{anchor.name} {'undefined' if bd is None else format(bd, '+.1f') + ' %'}"
                )
        print(
            clip.stem,
            " ".join(f"{p['bpp']:.4f}/{p['psnr']:.2f}" for p in points),
            "BD-rate",
            ", ".join(cells),
            flush=True,
        )
    for name, found in rows.items():
        known = [v for v in found if v is not None]
        print(
            f"mean BD-rate against {name}: {np.mean(known):+.1f} % over {len(known)} clips"
            if known
            else f"{name}: undefined",
            f"({len(found) - len(known)} undefined)",
        )


if __name__ == "__main__":
    main()
