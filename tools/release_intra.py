#!/usr/bin/env python3
"""A weights file whose intra nets are those of a trained state, the others those of another file.

    tools/release_intra.py STATE.pt OUT --keep weights/vqcodec.safetensors --photos DIR --clips DIR

Codebooks are fitted to the latents of crops, then (``--encodes``) those of all nets to what the
encoder codes. The state is one of ``tools/device_train.py``, in parts or joined, that was trained
under the integers' arithmetic.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import parts
import torch
from held_out import HELD

from vqcodec.codec.nets.shape import LARGE_INTRA, NetShape
from vqcodec.training.crops import Crops
from vqcodec.training.materials import pages
from vqcodec.training.model import FrameModel
from vqcodec.training.pictures import read_clip, read_photo
from vqcodec.training.refit_codebooks import Material, refit
from vqcodec.training.release import release
from vqcodec.training.states import read_state

STEP = 30  # frames between those of a clip that codebooks are fitted to
PAGES = 60


def trained(path: Path, shape: NetShape = LARGE_INTRA) -> FrameModel:
    """The model of a state, which may lie in parts."""
    model = FrameModel(shape)
    model.load_state_dict(read_state(io.BytesIO(parts.read(path))))
    return model


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--encodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = trained(args.state)
    clips = [path for path in sorted(args.clips.glob("*.mkv")) if path.stem not in HELD]
    pictures = [read_photo(path) for path in sorted(args.photos.iterdir())]
    pictures += [picture for clip in clips for picture in read_clip(clip, STEP)]
    crops = Crops(192, args.seed)
    for picture in pictures + pages(PAGES, args.seed):
        crops.add(picture)
    models, data = {"intra": model}, {"intra": crops}
    print(release(models, data, args.out, batches=args.batches, keep=args.keep).hex())
    if args.encodes:
        material = Material(clips, [item.picture for item in crops.items], args.encodes, args.seed)
        print(refit(args.out, material).hex())


if __name__ == "__main__":
    main()
