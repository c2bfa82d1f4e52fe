#!/usr/bin/env python3
"""A weights file whose nets of one kind are those of a trained state, the others those of another
file.

    tools/release_nets.py intra STATE.pt OUT --large --keep weights/vqcodec.safetensors \
        --photos DIR --clips DIR
    tools/release_nets.py inter RUN/01-inter.pt OUT --keep weights/vqcodec.safetensors \
        --photos DIR --clips DIR --pairs RUN/pairs

Codebooks are fitted to the latents of crops, those of inter nets to crops of pairs, then
(``--encodes``) those of all nets to what the encoder codes. The state was trained under the
integers' arithmetic, by ``vqcodec train`` or by ``tools/device_train.py``, in parts or joined.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import parts
import torch
from held_out import HELD

from vqcodec.codec.nets.shape import INTER, INTRA, LARGE_INTRA, LARGE_KEY, NetShape
from vqcodec.picture import Picture
from vqcodec.training import chunks
from vqcodec.training.crops import Crops
from vqcodec.training.materials import pages
from vqcodec.training.model import FrameModel
from vqcodec.training.pictures import read_clip, read_photo
from vqcodec.training.refit_codebooks import Material, refit
from vqcodec.training.release import release
from vqcodec.training.states import read_state

STEP = 30  # frames between those of a clip that codebooks are fitted to
PAGES = 60
CROP = 192  # samples of their width and height
SHAPES = {"intra": INTRA, "inter": INTER, "key": INTER}
LARGE = {"intra": LARGE_INTRA, "key": LARGE_KEY}


def trained(path: Path, shape: NetShape) -> FrameModel:
    """The model of a state, which may lie in parts."""
    model = FrameModel(shape)
    model.load_state_dict(read_state(io.BytesIO(parts.read(path))))
    return model


def material(kind: str, pictures: list[Picture], pairs: Path | None, seed: int) -> Crops:
    """What the codebooks of nets are fitted to at first."""
    crops = Crops(CROP, seed)
    if kind == "intra":
        for picture in pictures:
            crops.add(picture)
    elif pairs is not None:
        for name in (chunks.PAIRS, chunks.KEYS):
            crops.add_pairs(pairs, name)
    return crops


def main() -> None:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=SHAPES)
    parser.add_argument("state", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--large", action="store_true", help="nets of larger sizes")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, help="those of inter nets")
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--encodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.kind == "inter" and args.pairs is None:
        parser.error("inter nets want --pairs")
    if args.large and args.kind not in LARGE:
        parser.error(f"there are no larger {args.kind} nets")
    torch.set_num_threads(1)
    model = trained(args.state, (LARGE if args.large else SHAPES)[args.kind])
    clips = [path for path in sorted(args.clips.glob("*.mkv")) if path.stem not in HELD]
    pictures = [read_photo(path) for path in sorted(args.photos.iterdir())]
    pictures += [picture for clip in clips for picture in read_clip(clip, STEP)]
    pictures = [p for p in pictures + pages(PAGES, args.seed) if min(p.y.shape) >= CROP]
    data = {args.kind: material(args.kind, pictures, args.pairs, args.seed)}
    models = {args.kind: model}
    print(release(models, data, args.out, batches=args.batches, keep=args.keep).hex())
    if args.encodes:
        encodes = Material(clips, pictures, args.encodes, args.seed)
        print(refit(args.out, encodes).hex())


if __name__ == "__main__":
    main()
