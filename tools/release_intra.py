#!/usr/bin/env python3
"""A weights file whose intra nets are those of a trained state, the inter nets those of another file.

    tools/release_intra.py STATE.pt OUT --keep weights/vqcodec.safetensors --photos DIR --clips DIR

Codebooks are fitted to the latents of crops, then (``--encodes``) those of all nets to what the encoder
codes. The state is one of ``tools/device_train.py`` that was trained under the integers' arithmetic.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from held_out import HELD

from vqcodec.codec.nets.shape import LARGE_INTRA
from vqcodec.training.data import Crops, read_clip, read_photo
from vqcodec.training.model import FrameModel
from vqcodec.training.refit_codebooks import refit
from vqcodec.training.release import release
from vqcodec.training.synthetic import page, to_planes


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("state", type=Path)
    ap.add_argument("out", type=Path)
    ap.add_argument("--keep", type=Path, required=True)
    ap.add_argument("--photos", type=Path, required=True)
    ap.add_argument("--clips", type=Path, required=True)
    ap.add_argument("--batches", type=int, default=150)
    ap.add_argument("--encodes", type=int, default=40)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(1)
    m = FrameModel(LARGE_INTRA)
    state = torch.load(a.state, weights_only=True)
    m.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    data, rng = Crops(192, a.seed), np.random.default_rng(a.seed)
    for f in sorted(a.photos.iterdir()):
        data.add(read_photo(f))
    clips = [f for f in sorted(a.clips.glob("*.mkv")) if f.stem not in HELD]
    for f in clips:
        for p in read_clip(f, 30):
            data.add(p)
    for _ in range(60):
        data.add(to_planes(page(rng, 480, 384)))
    print(release({"intra": m}, {"intra": data}, a.out, batches=a.batches, keep=a.keep).hex())
    if a.encodes:
        pictures = [pic for pic, _, _ in data.items]
        print(refit(a.out, clips, pictures, a.encodes, a.seed).hex())


if __name__ == "__main__":
    main()
