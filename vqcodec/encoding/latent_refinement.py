"""Latents refined along the gradient of the error behind the quantiser.

Content-adaptive encoding by gradient (Campos et al. 2019), with the hard quantiser inside the loop.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ..codec import codebooks
from ..codec.direct_map import CODED_BLOCK, coded_tiles
from ..codec.frame_decoder import NEUTRAL
from ..codec.nets.tiles import Rows, Tiles
from ..codec.packed_samples import pack
from ..picture import MAX_SAMPLE
from .frame_trials import FrameTrials, Latents, Layout
from .nets.arithmetic import FLOATS, floats, one_thread
from .nets.relaxed_synthesis import smooth_synthesis
from .rate_distortion import PLANE_WEIGHTS

# larger frames are not refined: their gradients take a kilobyte of memory a pixel
MAX_PIXELS = 1 << 20


def refine(trials: FrameTrials, latents: Latents, quality: int, layout: Layout) -> Latents:
    """Latents to aim at that cost less than the analysis' own.

    With a curvature h of the error in every direction, which ``vq_lambda`` implies, its least value
    lies at yq - gradient / h for the quantised latent yq. Each of ``refine_steps`` steps goes
    ``refine_rate`` of the way there; the cheapest latent met is returned.
    """
    if not layout.coded:
        return latents
    motion, rate, frames = trials.motion, trials.rate, trials.frames
    seen = trials.seen(layout)
    device = frames.b.device
    worth = rate.detail(trials.task.aim)[1]
    curvature = 2 / rate.vq_lambda * trials.worths[:, :, None]
    y, best_y, best = latents.y, latents.y, np.inf
    # whatever mode the caller is in
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        one_thread() as threads,
        floats("float32", device),
        ThreadPoolExecutor(threads) as pool,
    ):
        synthesis = smooth_synthesis(
            motion.nets.synthesis, FLOATS[frames.codec.arithmetic], pool if threads > 1 else None
        )
        tiles = Tiles.of(coded_tiles(layout.blocks)[None] > 0, synthesis.backend)
        worths = trials.worths * (layout.blocks == CODED_BLOCK)
        weights = _tensor(_sample_weights(worths, tiles.at8), device)
        source = _tensor(tiles.at8.gather(pack(trials.task.source)), device).float()
        base, packed8 = torch.full_like(source, NEUTRAL), None
        if seen is not None:
            base = _tensor(tiles.at8.gather(seen.packed), device).float()
            packed8 = _tensor(tiles.at8.gather(seen.packed8), device)
        for step in range(rate.refine_steps + 1):
            quantised = trials.quantise(latents._replace(y=y), quality, layout)
            aimed = _tensor(tiles.at16.gather(quantised.y), device).float()
            aimed.requires_grad_(True)
            shown = (synthesis.layers(aimed, packed8, quality, tiles) + base).clamp(0, MAX_SAMPLE)
            error = worth * ((shown - source).square() * weights).sum()
            cost = float(error.detach()) + float(quantised.bits.sum())
            if cost < best:
                best, best_y = cost, y
            if step == rate.refine_steps:
                break
            error.backward()
            assert aimed.grad is not None
            gradient = tiles.at16.scatter(aimed.grad.cpu().numpy())[0]
            gradient *= codebooks.UNIT  # bits a step
            least = quantised.y / np.float32(codebooks.UNIT) - gradient / curvature
            y = y + rate.refine_rate * (least - y)
    return latents._replace(y=best_y)


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(array).to(device)


def _sample_weights(worths: np.ndarray, rows: Rows[torch.Tensor]) -> np.ndarray:
    """(M, 96) weights of the squared errors of packed samples, by plane and by block."""
    y, u, v = PLANE_WEIGHTS
    planes = np.array([y] * 64 + [u] * 16 + [v] * 16, np.float32)
    weights: np.ndarray = planes * rows.gather(worths.repeat(2, 0).repeat(2, 1)[..., None])
    return weights
