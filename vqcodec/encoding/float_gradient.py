"""The gradient behind the synthesis in floats of torch: for encoders on other devices than the
CPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..codec.nets.synthesis import Synthesis
from ..picture import MAX_SAMPLE
from ..system.threads import thread_count
from .nets.arithmetic import floats, one_thread
from .nets.relaxed_synthesis import smooth_synthesis

if TYPE_CHECKING:
    from .latent_refinement import Behind, Shown


def by_floats(net: Synthesis[Any], arithmetic: str, shown: Shown, quality: int) -> Behind:
    """Error and gradient on the device of a net, products in ``bfloat16`` or ``float32``; on a CPU
    threads share them."""
    device = net.backend.device

    def there(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    weights, damping, source, base = (
        there(array).float() for array in (shown.weights, shown.damping, shown.source, shown.base)
    )
    packed8 = None if shown.packed8 is None else there(shown.packed8)

    def behind(latent: np.ndarray) -> tuple[float, Callable[[], np.ndarray]]:
        threads = thread_count()
        # whatever mode the caller is in
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            one_thread(),
            floats("float32", device),
            ThreadPoolExecutor(threads) as pool,
        ):
            synthesis = smooth_synthesis(
                net, getattr(torch, arithmetic), pool if threads > 1 else None
            )
            tiles = shown.tiles.on(synthesis.backend)
            aimed = there(tiles.at16.gather(latent)).float().requires_grad_(True)
            drawn = synthesis.layers(aimed, packed8, quality, tiles) + base
            errors = (drawn.clamp(0, MAX_SAMPLE) - source).square() * weights
            (errors * damping).sum().backward()
            assert aimed.grad is not None
            gradient = tiles.at16.scatter(aimed.grad.cpu().numpy())[0]
        return float(errors.detach().sum()), lambda: gradient

    return behind
