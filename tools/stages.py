#!/usr/bin/env python3
"""What an encoder and a decoder spend their time on, by stage: `python tools/stages.py CLIP
[--frames 33] [--crf 28] [--preset medium]`, processor time of one thread, start-up left out.

A GOP is coded once to warm up and once measured. Times are exclusive: what a stage calls that is a
stage of its own counts there only.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.codec import (
    adaptive_filter,
    deblocking,
    detail_syntax,
    frame_decoder,
    frame_head,
    gop_decoder,
    latent_syntax,
)
from vqcodec.codec.nets.prior import Prior
from vqcodec.codec.nets.synthesis import Synthesis
from vqcodec.encoding import (
    coarse_motion,
    deblocking_choice,
    detail_choice,
    direct_choice,
    filter_choice,
    frame_copy,
    frame_motion,
    frame_trials,
    gop_encoder,
    interpolated,
    latent_refinement,
    latent_search,
    lookahead,
    mini_gop,
    motion_search,
    painted_choice,
    temporal_filter,
    weight_estimation,
)
from vqcodec.encoding.model import load_model
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.picture import Picture
from vqcodec.training.pictures import read_clip

SPENT: defaultdict[str, float] = defaultdict(float)
# stages that run, each with the time spent in stages inside
RUNNING: list[tuple[str, list[float]]] = []
REFINEMENT = "refinement: gradients"


def staged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its own time added to that of a stage."""

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        if name == "synthesis net" and RUNNING and RUNNING[-1][0] == REFINEMENT:  # its smooth twin
            return function(*args, **options)
        begin, inside = time.process_time(), [0.0]
        RUNNING.append((name, inside))
        try:
            return function(*args, **options)
        finally:
            RUNNING.pop()
            whole = time.process_time() - begin
            SPENT[name] += whole - inside[0]
            if RUNNING:
                RUNNING[-1][1][0] += whole

    return run


def wrap(owner: Any, stage: str, *names: str) -> None:
    """Replace functions or methods of ``owner`` by ones whose time counts for ``stage``."""
    for name in names:
        setattr(owner, name, staged(stage, getattr(owner, name)))


def instrument() -> None:
    """Replace what belongs to a stage by what measures it."""
    wrap(temporal_filter, "temporal filter", "filtered")
    wrap(lookahead.LookAhead, "look-ahead", "_depend", "_plans", "_reference")
    wrap(weight_estimation, "weights of references", "estimate")
    wrap(coarse_motion, "weights of references", "matched")
    wrap(temporal_filter, "weights of references", "matched_planes")
    wrap(frame_motion, "motion: starting vectors", "starting_vectors")
    wrap(interpolated, "motion: interpolated phases", "phases")
    wrap(motion_search, "motion: references under weights", "under_weights")
    wrap(frame_motion, "motion: search and decision", "search")
    wrap(frame_decoder, "motion compensation", "compensate")
    wrap(frame_head, "entropy decoding of motion", "decode_motion")
    wrap(frame_trials.FrameTrials, "analysis net", "analyse")
    wrap(latent_refinement, REFINEMENT, "refine")
    wrap(latent_search, "quantiser: search of indices", "search_step", "search_hyper")
    latents = ("encode_step", "encode_hyper", "decode_step", "decode_hyper")
    wrap(latent_syntax, "entropy coding of latents", *latents)
    wrap(detail_choice, "detail: choice of levels", "choose")
    wrap(detail_syntax, "detail: entropy coding", "encode_detail", "decode_detail")
    wrap(direct_choice, "direct blocks: choice", "choose", "candidates")
    wrap(painted_choice, "painted blocks: choice", "choose", "certain", "measure")
    wrap(deblocking_choice, "deblocking: choice", "choose")
    wrap(deblocking, "deblocking", "deblock", "borders")
    wrap(filter_choice, "adaptive filters: choice", "filter_best")
    wrap(adaptive_filter, "adaptive filters", "filter_planes")
    wrap(mini_gop, "still parts", "same_blocks", "as_references_show")
    wrap(mini_gop, "squared errors for the report", "total_squares")
    wrap(frame_copy, "copies: error", "error_bits")
    wrap(Prior, "prior net", "context", "step")
    wrap(Synthesis, "synthesis net", "__call__")


def report(what: str, frames: int, whole: float) -> None:
    """Print the table of stages for ``frames`` frames that took ``whole`` seconds."""
    rate = frames / whole
    print(f"{what}: {frames} frames in {whole:.2f} s, {rate:.1f} frames a second of one thread\n")
    print("| stage | ms a frame | share |\n|---|---|---|")
    SPENT["the rest"] = whole - sum(SPENT.values())
    for name, seconds in sorted(SPENT.items(), key=lambda i: -i[1]):
        print(f"| {name} | {1000 * seconds / frames:.1f} | {100 * seconds / whole:.1f} % |")
    print()


def main() -> None:
    """Encode and decode the clip, and print where the time went."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("clip", type=Path)
    ap.add_argument("--frames", type=int, default=33)
    ap.add_argument("--crf", type=float, default=28)
    ap.add_argument("--preset", choices=PRESETS, default="medium")
    a = ap.parse_args()
    torch.set_num_threads(1)
    codec = load_model(None, "cpu", 1)
    pictures = read_clip(a.clip, limit=a.frames)
    h, w = pictures[0].y.shape

    def encode(some: list[Picture]) -> bytes:
        return gop_encoder.encode_gop(codec, some, a.crf, PRESETS[a.preset], stats=False).body

    warm = pictures[:3]
    for _ in gop_decoder.decode_gop(codec, encode(warm), len(warm), w, h):
        pass
    instrument()
    begin = time.process_time()
    body = encode(pictures)
    report(
        f"encode {a.clip.name}, {w}x{h}, crf {a.crf:g}", len(pictures), time.process_time() - begin
    )
    SPENT.clear()
    begin = time.process_time()
    for _ in gop_decoder.decode_gop(codec, body, len(pictures), w, h):
        pass
    report("decode", len(pictures), time.process_time() - begin)


if __name__ == "__main__":
    main()
