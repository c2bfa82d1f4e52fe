"""Training with tiny nets: recipes, resuming, codebooks, quantisation, growing, made material."""

from __future__ import annotations

import copy
import itertools
import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SIZES, crops
from support.clips import header, moving, write
from support.paths import ROOT

from vqcodec.cli import main
from vqcodec.codec import codebooks as codebooks_module
from vqcodec.codec.codebooks import is_escape
from vqcodec.codec.frame_decoder import pad
from vqcodec.codec.gop_structure import LEVELS
from vqcodec.codec.nets.shape import CLASSES, HYPER_BUCKETS, INTER, INTRA, NetShape
from vqcodec.encoding import latent_search
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_motion import intra_motion
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.frame_trials import FrameTrials
from vqcodec.encoding.model import load_model
from vqcodec.encoding.nets.layers import Act, anchor_weights
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.encoding.trial import Latents
from vqcodec.errors import InputError, UsageError
from vqcodec.options import DecodeOptions, EncodeOptions
from vqcodec.picture import Picture
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.reading.verify import verify
from vqcodec.training import (
    check,
    chunks,
    codebooks,
    pairs,
    refit_codebooks,
    release,
    synthetic,
)
from vqcodec.training.chains import Chains
from vqcodec.training.config_file import load_config
from vqcodec.training.crops import Crops
from vqcodec.training.evaluation import score
from vqcodec.training.loop import Hooks, Run, RunOptions
from vqcodec.training.model import FrameModel, step_masks
from vqcodec.training.pictures import pack, read_clip, unpack
from vqcodec.training.real_encodes import encode_frames, encode_stretches
from vqcodec.training.recipe import Recipe
from vqcodec.training.release import balanced, calibrate
from vqcodec.training.states import load_state
from vqcodec.training.transform_start import transform_start

pytestmark = pytest.mark.usefixtures("one_thread")
STAGE = '[[stage]]\nkind = "intra"\n'


def silent(text: str) -> None:
    """A log that nobody reads."""


def config(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text)
    return path


# --- configs


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[data\n", InputError, "train.toml"),
        ('[[stage]]\nkind = "\x00"', InputError, "train.toml"),
        ("", UsageError, "no \\[\\[stage\\]\\]"),
        (STAGE + "[extra]\nx = 1", UsageError, "unknown table 'extra'"),
        ('[[stage]]\nkind = "dance"', UsageError, "kind 'dance'.*intra, inter"),
        ("[[stage]]\nminutes = 1", UsageError, "kind"),
        (STAGE + "tempo = 3", UsageError, "tempo"),
        (STAGE + "minutes = 0", UsageError, "above zero"),
        (STAGE + 'minutes = "long"', UsageError, "train.toml"),
        ('[[stage]]\nkind = "export"', UsageError, "out"),
        ('[[stage]]\nkind = "inter"\nrecursion = "no"', UsageError, "true or false"),
        ('[[stage]]\nkind = "export"\nout = "x"\nencodes = -1', UsageError, "encodes not below"),
        (STAGE + "[run]\nspeed = 3", UsageError, "speed"),
        (STAGE + "[data]\nsongs = []", UsageError, "songs"),
        ("data = 3\n" + STAGE, UsageError, "train.toml"),
        ("stage = 3", UsageError, "train.toml"),
        (STAGE + "[shape.intra]\nwide = 3", UsageError, "wide"),
        (STAGE + "[shape.other]\nlatent = 8", UsageError, "shape 'other'"),
        (STAGE + "[shape.inter]\nlatent = 7", UsageError, "multiple of 8"),
        (STAGE + "[data]\ncrop = 100", UsageError, "multiple of 64"),
        (STAGE + "[run]\nthreads = 0", UsageError, "at least 1"),
        (STAGE + "[run]\nbatch = 0", UsageError, "batch = 0: .* at least 1"),
        (STAGE + "[run]\nfused = 1", UsageError, "fused = 1: use true or false"),
        (STAGE + "[run]\ndevice = 'gpu'", UsageError, "'gpu' is unknown, allowed are auto, cpu"),
        (STAGE + "[run]\ndevice = 3", UsageError, "train.toml"),
        (STAGE + "tiles = 2", UsageError, "shares of the samples, 0 to 1"),
        (STAGE + "border = -1", UsageError, "border must not be below zero"),
        (STAGE + "halfway = 1", UsageError, "halfway are true or false"),
        (STAGE + '[shape]\nintra = "huge"', UsageError, "intra = 'huge': use 'large'"),
        (STAGE + "[run]\ninit.intra = 'none.safetensors'", InputError, "no such file"),
        (STAGE + '[data]\nclips = "nowhere"', InputError, "nowhere: no such folder"),
    ],
)
def test_configs_that_make_no_sense_are_refused(
    tmp_path: Path, text: str, error: type, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, text)
    with pytest.raises(error, match=words):
        load_config(path)
    assert main(["train", str(path)]) == error.exit_code  # type: ignore[attr-defined]
    assert capsys.readouterr().err.startswith("vqcodec: error: ")


def test_a_missing_config_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "missing.toml")
    assert main(["train", str(tmp_path / "missing.toml")]) == 3
    err = capsys.readouterr().err
    assert err.startswith("vqcodec: error: ")
    assert err.count("\n") == 1
    assert "missing.toml: no such file" in err


def test_what_a_config_says(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("b.mkv", "a.MP4", "notes.txt"):
        (tmp_path / "clips" / name).touch()
    c = load_config(
        config(
            tmp_path,
            STAGE
            + (
                '[data]\nclips = "clips"\nheld_out = ["b"]\n[run]\nfolder = "x/y"\n[shape.inter]\n'
                "latent = 64"
            ),
        )
    )
    assert [f.name for f in c.clips] == ["a.MP4", "b.mkv"]
    assert c.photos == []
    assert c.held_out == {"b"}
    assert c.folder == tmp_path / "x/y"
    assert c.shapes["intra"] == INTRA
    assert c.shapes["inter"].latent == 64
    assert c.shapes["inter"].enc16 == INTER.enc16
    assert [(s.kind, s.quantise, s.batch, c.batch) for s in c.stages] == [("intra", False, None, 8)]


def test_the_recipe_of_the_repository_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "examples/released-model.toml").read_text()
    for name in ("a/shared/corpus/train", "a/shared/corpus/photos", "a/repo"):
        (tmp_path / name).mkdir(parents=True)
    c = load_config(config(tmp_path / "a/repo", text))
    assert [s.kind for s in c.stages][-1] == "export"
    assert any(s.quantise for s in c.stages)


# --- a whole recipe

SHAPE = "\n".join(f"{k} = {v}" for k, v in SIZES.items())
RECIPE = f"""
[data]
clips = "clips"
held_out = ["held"]
pages = 2
crop = 64
[run]
folder = "run"
[shape.intra]
{SHAPE}
[shape.inter]
{SHAPE}
[shape.key]
dec_blocks = 3
"""
STAGES = (
    dict(kind="intra", minutes=0.01, batch=2),
    dict(kind="inter", minutes=0.01, batch=2),
    dict(kind="pairs", minutes=0.05, batches=4),
    dict(kind="inter", minutes=0.01, batch=2, quantise=True, recursion=True),
    dict(kind="intra", minutes=0.01, batch=2, quantise=True),
    dict(kind="key", minutes=0.01, batch=2, quantise=True),
)


@pytest.mark.early
def test_a_recipe_from_clips_to_a_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = codebooks.plan
    monkeypatch.setattr(
        codebooks, "plan", lambda c: (plan(c)[0], min(plan(c)[1], 16))
    )  # fitted in no time
    monkeypatch.setattr(pairs, "CHUNK", 4)
    monkeypatch.setattr(pairs, "CHAIN", 2)
    # the search for ranges, which has its own test, tries a few of them at half the qualities
    monkeypatch.setattr(release, "EQUAL_Q", (8.0, 56.0))
    monkeypatch.setattr(release, "balanced", lambda m: itertools.islice(balanced(m), 4))
    # how well it is done is not the matter here: few samples, and the ends of what is judged
    monkeypatch.setattr(codebooks, "FEW", 500)
    monkeypatch.setattr("vqcodec.training.recipe.calibrate", partial(calibrate, batches=8))
    monkeypatch.setattr("vqcodec.training.recipe.score", partial(score, qualities=(8, 56)))
    monkeypatch.setattr("vqcodec.training.verdict.CRFS", (18, 48))
    (tmp_path / "clips").mkdir()
    # each encode of the verdict is of the clip that is held out
    for seed, (name, frames) in enumerate((("a.mkv", 18), ("b.y4m", 18), ("held.mkv", 10))):
        write(
            tmp_path / "clips" / name,
            header(64, 64),
            moving(64, 64, frames, seed),
            **({"vcodec": "ffv1"} if name.endswith("mkv") else {}),
        )
    out = tmp_path / "new" / "tiny.safetensors"
    stages = [*STAGES, dict(kind="export", out=str(out), batches=6, encodes=1)]

    def value(v: object) -> str:
        return str(v).lower() if isinstance(v, bool) else repr(v)

    path = config(
        tmp_path,
        RECIPE
        + "".join(
            "[[stage]]\n" + "".join(f"{k} = {value(v)}\n" for k, v in s.items()) for s in stages
        ),
    )

    Recipe(load_config(path)).run()
    folder = tmp_path / "run"
    assert {f.name for f in folder.iterdir()} >= {
        "00-intra.pt",
        "01-inter.pt",
        "02-pairs.done",
        "03-inter.pt",
        "04-intra.pt",
        "05-key.pt",
        "train.log",
        "interim.safetensors",
    }
    for of in "pc":
        assert list((folder / "pairs").glob(f"{of}*.npz.zst"))
    assert load_model(folder / "interim.safetensors", "cpu", 1).key.kind == "inter"
    log = (folder / "train.log").read_text()
    assert "resumed" not in log
    assert "held out at" in log
    assert "stage 3 inter quantisation-aware" in log
    last = log.splitlines()[-1]
    assert "held-out clips (1): " in last
    assert "against the model that came with the program" in last
    codec = load_model(out, "cpu", 1)
    assert codec.intra.shape == NetShape(inter=False, **SIZES)
    assert codec.key.shape == NetShape(inter=True, **(SIZES | dict(dec_blocks=3)))
    assert f"model {codec.model_id.hex()}" in log

    source = tmp_path / "clips" / "a.mkv"
    coded, again = tmp_path / "a.vqv", tmp_path / "a.y4m"
    report = encode(
        str(source), str(coded), EncodeOptions(threads=1, device="cpu"), weights=str(out)
    )
    assert report.frames == 18
    assert verify(str(coded), weights=str(out), options=DecodeOptions(threads=1, device="cpu")).ok
    assert decode(
        str(coded), str(again), DecodeOptions(threads=1, device="cpu"), weights=str(out)
    ).ok
    error = np.mean(
        [
            np.square(a.y.astype(float) - b.y).mean()
            for a, b in zip(read_clip(source), read_clip(again), strict=True)
        ]
    )
    assert error == pytest.approx(report_error(report.psnr[1]), rel=1e-3)

    # again: finished stages are not repeated, and the same model comes out; it was judged already
    monkeypatch.setattr(Recipe, "_verdict", lambda self, made: "as before")
    done = {f: f.stat().st_mtime_ns for f in (folder / "pairs").glob("*.npz.zst")}
    out.unlink()
    assert main(["train", str(path), "--resume"]) == 0
    new = (folder / "train.log").read_text()[len(log) :]
    assert [line.split(" ", 1)[1] for line in new.splitlines() if "resumed" in line] == [
        f"stage {n} {kind}: resumed at {spent(folder / f'{n:02d}-{kind}.pt'):.1f} of 0.01 min"
        for n, kind in enumerate(s["kind"] for s in STAGES)
        if kind != "pairs"
    ]
    assert " step " not in new
    assert {f: f.stat().st_mtime_ns for f in (folder / "pairs").glob("*.npz.zst")} == done
    assert load_model(out, "cpu", 1).model_id == codec.model_id


def test_a_run_without_resume_keeps_the_checkpoints_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    write(tmp_path / "clips" / "a.mkv", header(80, 64), moving(80, 64, 2), vcodec="ffv1")
    path = config(tmp_path, RECIPE + '[[stage]]\nkind = "intra"\nminutes = 0.01\n')
    checkpoint = tmp_path / "run" / "00-intra.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"hours of work")
    assert main(["train", str(path)]) == UsageError.exit_code
    assert "--resume" in capsys.readouterr().err
    assert main(["train", str(path), "--resume", "--restart"]) == UsageError.exit_code
    assert checkpoint.read_bytes() == b"hours of work"
    assert main(["train", str(path), "--restart"]) == 0
    assert spent(checkpoint) >= 0.01


def spent(checkpoint: Path) -> float:
    return torch.load(checkpoint, weights_only=True)["spent"]


def report_error(psnr: float) -> float:
    return 65025 / 10 ** (psnr / 10)


def test_a_recipe_without_material_is_refused(tmp_path: Path) -> None:
    for kind in ("intra", "inter"):
        recipe = Recipe(
            load_config(
                config(
                    tmp_path,
                    f'[data]\npages = 0\n[run]\nfolder = "{kind}"\n[[stage]]\nkind = "{kind}"',
                )
            )
        )
        with pytest.raises(InputError, match="no training"):
            recipe.run()


# --- nets


def test_narrow_nets_keep_their_random_start(tiny_models: dict[str, Any]) -> None:
    m = copy.deepcopy(tiny_models["intra"])
    transform_start(m, Crops(64))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            m.state_dict().values(), tiny_models["intra"].state_dict().values(), strict=True
        )
    )


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_quantisation_aware_nets_compute_what_the_float_nets_do(
    tiny_models: dict[str, Any], kind: str
) -> None:
    m = copy.deepcopy(tiny_models[kind]).eval()
    x, pred, q = crops(kind).batch(6)
    at = anchor_weights(q)

    def outputs() -> list[torch.Tensor]:
        h = m.prior.context(z, pred)
        return [
            m.synthesis(y, pred, at),
            h,
            *m.prior.steps[0](h, at),
            *(t for k in m.prior.steps[1:] for t in k(torch.cat([y, h], -1), at)),
        ]

    with torch.no_grad():
        y, z = (t.round() for t in m.analysis(x, pred, q))
        y = y.clamp(-127 / 8, 127 / 8)  # what step 2 of the prior is given in 8 bits
        exact = outputs()
        for act in m.modules():
            if isinstance(act, Act):
                act.peak.zero_()
                act.stretch.zero_()
        m.quantise_aware(
            "observe"
            # these very values: the difference is that of rounding, not of clipping what was never
            # seen
        )
        outputs()
        m.quantise_aware("quant")
        rough = outputs()
    for a, b in zip(exact, rough, strict=True):
        assert not torch.equal(a, b)
        assert float((a - b).norm() / a.norm()) < 0.05
    # the gradient passes the rounding
    m.train()
    out, bits, zbits = m(x, pred, q)
    ((out - x).square().sum() + bits.sum() + zbits.sum()).backward()
    for w in (
        m.synthesis.first.weight,
        m.prior.up.weight,
        m.prior.steps[-1].mean.weight,
        m.analysis.first.weight,
    ):
        assert torch.isfinite(w.grad).all()
        assert float(w.grad.abs().max()) > 0
    m.quantise_aware("float")
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(exact, outputs(), strict=True))


def test_ranges_are_moved_to_where_they_cost_least(
    tiny_models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By steps of a factor of 1.4, wider or narrower; where neither wins, they stay."""
    m = copy.deepcopy(tiny_models["inter"])
    best = {act: (0.0, math.log(4), -math.log(4))[i % 3] for i, act in enumerate(balanced(m))}
    with torch.no_grad():
        for act in best:
            act.stretch.zero_()

    def cost(model: FrameModel, batch: Any) -> Any:
        apart = sum(float((act.stretch - middle).abs().mean()) for act, middle in best.items())
        return SimpleNamespace(total=torch.full((len(batch.quality),), 2.0**apart))

    monkeypatch.setattr(release, "cost_of", cost)
    release.balance(m, crops("inter"))
    for act, middle in best.items():
        moved = act.stretch.detach()
        assert bool(((moved - middle).abs() <= math.log(1.4) / 2 + 1e-5).all()), middle
        assert bool((moved == 0).all()) == (middle == 0)


def test_ranges_are_learned() -> None:
    """The gradient of the range of an activation is that of what rounding and clipping do, and
    weights and ranges both follow it."""
    torch.manual_seed(0)
    act = Act(3)
    act.peak.fill_(1.0)
    act.mode = "quant"
    x = torch.tensor([[0.3, 5.0, -0.70001]])
    act(x).sum().backward()
    step = 1 / 127
    want = [
        round(0.3 / step) * step - 0.3,
        1.0,
        -(round(0.70001 / step) * step - 0.70001),
    ]  # rounding, the upper bound, rounding
    assert act.stretch.grad is not None
    assert torch.allclose(act.stretch.grad, torch.tensor(want), atol=1e-3)
    old = Act(3)
    old.load_state_dict({"peak": torch.ones(3)})  # models saved before there were learned ranges
    assert torch.equal(old.scale, torch.full((3,), step))


def test_old_calibration_clipped_sixteen_bits() -> None:
    """Ranges of 16 bits keep away from the values seen: a clipped latent cost 1 % of rate."""
    act = Act(2, 16)
    act.mode = "observe"
    act(torch.tensor([[1.0, -3.0]]))
    act.mode = "quant"
    assert torch.equal(act.peak, torch.tensor([2.0, 6.0]))
    assert torch.equal(act(torch.tensor([[1.9, -5.0]])), torch.tensor([[1.9, -5.0]]))


# --- codebooks


def test_ranges_of_quality_without_samples_borrow_from_the_nearest(
    tiny_models: dict[str, Any],
) -> None:
    from vqcodec.codec.nets.backend_choice import choose_backend
    from vqcodec.codec.nets.prior import Prior
    from vqcodec.training.export import exact_arrays

    class Fixed(Crops):
        at = [60.0, 3.0]

        def batch(self, n: int) -> Any:
            batch = super().batch(n)
            return batch._replace(quality=torch.full_like(batch.quality, self.at.pop()))

    m = copy.deepcopy(tiny_models["intra"])
    prior = Prior(exact_arrays(m), m.shape, choose_backend("cpu"))
    data = Fixed(128, 3)
    data.items = crops("intra").items
    samples, z = codebooks.collect(m, prior, data, 2)
    assert len(samples) == CLASSES
    assert len(z) == HYPER_BUCKETS
    assert all(len(v) for v in z)
    assert np.array_equal(z[0], z[1])
    assert np.array_equal(z[2], z[3])
    assert not np.array_equal(z[0], z[3])


def clip(folder: Path, frames: int = 18, seed: int = 0, width: int = 128) -> Path:
    path = folder / f"{seed}.mkv"
    write(path, header(width, 64), moving(width, 64, frames, seed), vcodec="ffv1")
    return path


def test_codebooks_are_fitted_again_on_what_the_encoder_codes(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codebooks, "FEW", 50)
    plan, lam = codebooks.plan, RateParameters().vq_lambda
    monkeypatch.setattr(codebooks, "plan", lambda c: (plan(c)[0], min(plan(c)[1], 24)))
    weights, path = tmp_path / "w.safetensors", clip(tmp_path, width=64)
    weights.write_bytes(tiny_weights.read_bytes())
    old = load_model(weights, "cpu", 1)
    listen, all_heard = refit_codebooks.listen, []

    def hearing(*args: Any) -> dict[str, refit_codebooks.Residuals]:
        all_heard.append(listen(*args))
        return all_heard[-1]

    monkeypatch.setattr(refit_codebooks, "listen", hearing)
    material = refit_codebooks.Material([path], read_clip(path), 8, seed=1)
    ident = refit_codebooks.refit(weights, material, silent)
    heard = all_heard.pop()["intra"].result().classes
    assert not all_heard
    new = load_model(weights, "cpu", 1)
    assert new.model_id == ident != old.model_id
    assert new.intra.shape == old.intra.shape

    def cost(books: codebooks_module.Codebooks, c: int) -> float:
        """Squared steps a vector, and its bits at what they are worth: what the quantiser
        minimises."""
        k, dim = int(books.sizes[c]) - (books.dims[c] < 4), int(books.dims[c])
        bits = codebooks_module.Tables(books).costs()[c, :k]
        e = np.square(heard[c].reshape(-1, 1, dim) - books.words[c, :k, :dim] / 16).sum(-1)
        return float((e + lam * bits).min(1).mean())

    met = [c for c in range(CLASSES) if old.intra.books.dims[c] and len(heard[c])]
    costs = {c: (cost(old.intra.books, c), cost(new.intra.books, c)) for c in met}
    often = [c for c in met if len(heard[c]) >= 50]
    assert len(often) > 2
    assert sum(costs[c][1] for c in often) < 0.95 * sum(costs[c][0] for c in often)
    assert len(often) < len(met)
    assert all(a == b for c, (a, b) in costs.items() if c not in often)


def test_what_was_hardly_met_keeps_its_codebooks(tiny_codec: Any) -> None:
    """Refitting gave the hyper-latent of qualities that no encode had come to the tables of others:
    15 % more of its bits."""
    old, rng = tiny_codec.intra.books, np.random.default_rng(0)
    heard = refit_codebooks.Residuals(tiny_codec.intra.shape.hyper)
    heard.add(np.full(9000, 20), rng.normal(size=(9000, 4)).astype(np.float32))
    heard.add(np.full(50, 21), rng.normal(size=(50, 4)).astype(np.float32))
    heard.add_hyper(40, rng.normal(size=(2000, tiny_codec.intra.shape.hyper)).astype(np.float32))
    heard.add_hyper(60, rng.normal(size=(20, tiny_codec.intra.shape.hyper)).astype(np.float32))
    new = codebooks.fit(heard.result(), 0.1, silent, old)
    groups = tiny_codec.intra.shape.hyper // 4
    again = {20, *range(CLASSES + 2 * groups, CLASSES + 3 * groups)}
    for t in range(len(old.dims)):
        k = old.sizes[t]
        same = (
            new.dims[t] == old.dims[t]
            and new.sizes[t] == k
            and all(
                np.array_equal(a[t, :k], b[t, :k])
                for a, b in ((new.words, old.words), (new.counts, old.counts))
            )
        )
        assert same == (t not in again)


def black(ten_bit: bool = False) -> Picture:
    planes = ((128, 128), (64, 64), (64, 64))
    return Picture(*(np.zeros(size, np.uint16 if ten_bit else np.uint8) for size in planes))


def test_recursion_takes_a_batch_of_one(
    tiny_models: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()  # a step takes as long on every machine
    monkeypatch.setattr("vqcodec.training.loop.time.time", lambda: 0.2 * next(ticks))
    chains = Chains(128, 1)
    chains.items = [
        chunks.FrameChain(
            chunks.Pair(black(), black(True), 30),
            black(True),
            chunks.Pair(black(), black(True), 25),
            np.ones((16, 16), np.float16),
            np.zeros((2, 16, 16), np.int16),
        )
    ]
    run = Run(
        copy.deepcopy(tiny_models["inter"]),
        crops("inter"),
        RunOptions(0.02, batch=1, recursion=True),
        tmp_path / "run.pt",
        chains,
    )
    run.train(Hooks(silent))
    assert run.step > 2
    assert run.optimisers.skipped == 0


def test_residuals_are_what_was_quantised(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Latent less mean, for every coded group and whatever the dimension of its codebook, escapes
    too."""
    codec = load_model(tiny_weights, "cpu", 1)
    means: list[np.ndarray] = []
    search = latent_search.search_step
    monkeypatch.setattr(
        latent_search,
        "search_step",
        lambda target, mean, *rest: (means.append(mean), search(target, mean, *rest)),
    )
    coder = FrameEncoder(codec, 128, 64)
    picture = read_clip(clip(tmp_path, 1))[0]
    task = FrameTask(pad(picture, 128, 64), 0, 0, 40, [])
    motion = intra_motion(coder, task)
    trials = FrameTrials(coder, coder.rate, task, motion)
    latent, z = trials.analyse(40)
    latent = latent + np.random.default_rng(0).normal(0, 3, latent.shape).astype(
        np.float32
    )  # all classes, and more than any codeword reaches
    latent[0, 0] = 900.0
    blocks = np.zeros(latent.shape[:2], np.uint8)
    blocks[1, 2] = 1
    n = trials.quantise(Latents(latent, z), 40, trials.plain(blocks))
    assert is_escape(n.symbols).any()
    cls, r = refit_codebooks.residuals(latent, n, blocks, motion.tables.books)
    masks = [m[0].numpy() > 0 for m in step_masks(*latent.shape, len(means))]
    want = (latent - np.select(masks, means) / 16)[blocks == 0].reshape(-1, 4)
    assert len(cls) == len(r) == (blocks == 0).sum() * latent.shape[2] // 4
    assert np.allclose(r, want, atol=1e-4)
    assert np.array_equal(
        cls, np.select([m[..., ::4] for m in masks], n.classes)[blocks == 0].reshape(-1)
    )


def test_clips_that_are_too_short_for_stretches_are_refused(
    tmp_path: Path, tiny_weights: Path
) -> None:
    codec = load_model(tiny_weights, "cpu", 1)
    with pytest.raises(InputError, match="at least 3 frames"):
        next(encode_stretches(codec, [clip(tmp_path, 2)], np.random.default_rng(0), pairs.Notes))


# --- chains


def test_a_chain_predicts_the_second_frame_from_the_first(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded as it was, the first frame gives the recorded prediction; without it nothing is left
    of what came from it, wherever flipped and cut."""
    monkeypatch.setattr(pairs, "CHAIN", 1)
    monkeypatch.setattr(pairs, "CHUNK", 1)
    codec = load_model(tiny_weights, "cpu", 1)
    run = pairs.PairRun(tmp_path / "pairs", 0.01)
    pairs.make_pairs(codec, [clip(tmp_path)], run, silent)
    data = Chains(64, 1)
    written = list((tmp_path / "pairs").glob("c*.npz.zst"))
    assert data.add_folder(tmp_path / "pairs") == len(written) > 2
    c = data.batch(24)
    prediction = c.second.prediction
    assert prediction is not None
    assert c.first.picture.shape == prediction.shape == (24, 8, 8, 96)
    assert c.share.shape == (24, 8, 8)
    assert set(c.share.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert torch.equal(c.predicted(c.decoded), prediction.clamp(-0.5, 0.5))
    # the motion of the others stays inside the crop
    alone = c.share == 1
    alone[:, [0, 1, 6, 7]] = alone[:, :, [0, 1, 6, 7]] = False
    assert alone.any()
    left = c.predicted(torch.zeros_like(c.decoded))[alone].abs().mean()
    assert float(left) < 0.1 * float(prediction[alone].abs().mean())


def test_a_chain_never_begins_at_a_copied_frame(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key frame that repeats the I frame is a copy of it; others are predicted from that copy."""
    codec = load_model(tiny_weights, "cpu", 1)
    pictures = list(moving(128, 64, 17, seed=1))
    pictures[16] = pictures[0]
    notes = encode_frames(codec, pictures, 20.0, pairs.Notes())
    assert 16 not in notes.noted
    assert 16 in {reference.number for reference in notes.noted[8].references}
    assert not notes.noted[8].coded.field.blends.size
    monkeypatch.setattr(pairs, "KEEP", (1.0,) * LEVELS)
    monkeypatch.setattr(pairs, "encode_stretches", lambda *_: [(notes, pictures)])
    assert pairs.make_pairs(codec, [], pairs.PairRun(tmp_path / "pairs", 1.0), silent) == 15


def test_unpack_is_the_inverse_of_pack() -> None:
    y, c = torch.rand(2, 64, 32), torch.rand(2, 2, 32, 16)
    again = unpack(pack(y, c))
    assert torch.equal(again[0], y)
    assert torch.equal(again[1], c)


def test_a_codebook_may_be_left_with_the_zero_word() -> None:
    for lam in (0.0, 0.1):
        words, counts = codebooks.lloyd(np.full((1, 4), 3.0, np.float32), 8, lam)
        assert words.tolist() == [[0, 0, 0, 0]]
        assert counts.tolist() == [1]
    words, counts = codebooks.lloyd(np.full((50, 2), 3.0, np.float32), 8, 0.01)
    assert words.tolist() == [[0, 0], [3, 3]]
    assert counts.tolist() == [0, 50]


# --- made material


def test_pages_have_the_size_asked_for_and_follow_the_seed() -> None:
    def make(seed: int, *size: int) -> np.ndarray:
        return synthetic.page(np.random.default_rng(seed), *size)

    for seed in range(4):
        a = make(seed, 320, 200)
        assert a.shape == (200, 320, 3)
        assert a.dtype == np.uint8
        assert a.std() > 1
        assert np.array_equal(a, make(seed, 320, 200))
        assert not np.array_equal(a, make(seed + 1, 320, 200))
    y, u, v = synthetic.to_picture(make(0, 320, 200))
    assert y.shape == (200, 320)
    assert u.shape == v.shape == (100, 160)
    assert {p.dtype for p in (y, u, v)} == {np.dtype(np.uint8)}
    assert y.min() >= 16
    assert y.max() <= 235
    white = synthetic.to_picture(np.full((16, 16, 3), 255, np.uint8))
    assert (white.y == 235).all()


@pytest.mark.parametrize("moved", [synthetic.panning, synthetic.scrolling])
def test_moving_clips_have_the_size_asked_for_and_follow_the_seed(moved: Any) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (200, 240, 3)).astype(np.uint8)
    a, b, c = (list(moved(np.random.default_rng(seed), rgb, 5, 96, 64)) for seed in (1, 1, 2))
    assert len(a) == 5
    assert all(f.shape == (64, 96, 3) and f.dtype == np.uint8 for f in a)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert any(not np.array_equal(f, a[0]) for f in a)
    if moved is synthetic.scrolling:  # whole samples: every frame is a part of the picture
        for f in a:
            assert any(
                np.array_equal(f, rgb[y : y + 64, x : x + 96])
                for y, x in np.argwhere((rgb[: 200 - 63, : 240 - 95] == f[0, 0]).all(2))
            )


def test_clips_are_written_without_loss(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)).save(
        tmp_path / "photo.png"
    )
    frames = []
    for folder in ("a", "b"):
        synthetic.write_clips(
            tmp_path / folder, [tmp_path / "photo.png"], 2, seed=4, size=(96, 64), frames=3
        )
        frames.append([read_clip(f) for f in sorted((tmp_path / folder).iterdir())])
    assert [f.name for f in sorted((tmp_path / "a").iterdir())] == ["made-000.mkv", "made-001.mkv"]
    for a, b in zip(frames[0], frames[1], strict=True):
        assert [p.y.shape for p in a] == [(64, 96)] * 3
        assert all(
            np.array_equal(p, q)
            for f, g in zip(a, b, strict=True)
            for p, q in zip(f, g, strict=True)
        )
    synthetic.write_clips(tmp_path / "c", [], 2, size=(96, 64), frames=2)  # pages only
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_chunks_of_pairs_are_compressed_and_plain_ones_are_read(tmp_path: Path) -> None:
    y = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    c = np.stack([y[::2, ::2]] * 2)
    arrays = {"0_y": y, "0_c": c, "0_py": y * np.uint16(4), "0_pc": c * np.uint16(4)}
    arrays |= {"0_q": np.float32(30)}
    chunks.save(tmp_path / f"p0{chunks.SUFFIX}", arrays)
    np.savez(tmp_path / "p1.npz", **arrays)  # as they were written before
    sizes = [p.stat().st_size for p in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert sizes[0] < sizes[1] / 4
    data = Crops(64, 1)
    assert data.add_pairs(tmp_path) == 2
    assert data.add_pairs(tmp_path) == 2
    for picture, prediction, quality in data.items:
        assert prediction is not None
        assert quality == (25, 35)
        for found, prefix in ((picture, ""), (prediction, "p")):
            want = arrays[f"0_{prefix}y"], *arrays[f"0_{prefix}c"]
            for plane, original in zip(found, want, strict=True):
                assert plane.dtype == original.dtype
                assert np.array_equal(plane, original)


# --- what a newcomer meets


def recipe(folder: Path, text: str, clips: int = 0, size: tuple[int, int] = (80, 64)) -> Path:
    (folder / "clips").mkdir()
    for i in range(clips):
        write(folder / "clips" / f"c{i}.y4m", header(*size), moving(*size, 2, i))
    return config(folder, text)


def test_a_recipe_is_checked_before_its_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that would end a later stage: crops too large, an output that is there, packages."""
    out = tmp_path / "x.safetensors"
    export = f'[[stage]]\nkind = "export"\nout = "{out}"\n'
    pairs_ = '[[stage]]\nkind = "pairs"\n'
    path = recipe(
        tmp_path, '[data]\nclips = "clips"\n' + STAGE + pairs_ + export, clips=2, size=(160, 130)
    )
    assert main(["train", str(path)]) == 3
    assert "at least 192 samples wide and high: crop = 128 in [data]" in capsys.readouterr().err
    path = config(tmp_path, '[data]\nclips = "clips"\ncrop = 128\n' + STAGE + pairs_ + export)
    out.write_bytes(b"mine")
    for extra in ([], ["--resume"], ["--dry-run"]):
        assert main(["train", str(path), *extra]) == 5
        assert "exists already; -y overwrites it" in capsys.readouterr().err
    assert main(["train", str(path), "--dry-run", "-y"]) == 0
    said = capsys.readouterr().out
    assert "1 clips to train on, 1 of them large enough for crops of 128; 1 held out: c1" in said
    assert "stage 0 intra: 10 min" in said
    assert "0.3 hours in all" in said
    assert not (tmp_path / "runs").exists()
    assert out.read_bytes() == b"mine"
    found = check.find_spec
    monkeypatch.setattr(check, "find_spec", lambda name: None if name == "PIL" else found(name))
    assert main(["train", str(path), "-y"]) == 2
    assert "train needs pillow: pip install 'vqcodec[train]'" in capsys.readouterr().err


def test_a_dry_run_says_that_no_clip_is_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[data]\nclips = "clips"\ncrop = 128\n' + STAGE
    for clips, silent in ((1, False), (2, True)):
        folder = tmp_path / str(clips)
        folder.mkdir()
        path = recipe(folder, text, clips=clips, size=(160, 130))
        assert main(["train", str(path), "--dry-run"]) == 0
        assert ("no clip is held out" not in capsys.readouterr().out) == silent


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            STAGE + "minuets = 3",
            r"train.toml: stage 0 \(intra\): unknown key 'minuets', did you mean 'minutes'",
        ),
        ('[[stage]]\nkind = "intro"', "train.toml: stage 0: stage kind 'intro'"),
        ("[[stage]]\nminutes = 1", "train.toml: stage 0: kind is missing"),
        (
            STAGE + '[run]\nint = "x"',
            r"train.toml: \[run\]: unknown key 'int', did you mean 'init'",
        ),
        (STAGE + '[run]\ninit = "relased"', "use 'released'"),
    ],
)
def test_slips_of_the_pen_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_config(config(tmp_path, text))


def test_the_example_goes_on_from_the_released_model(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "my-camera.toml").read_text()
    (tmp_path / "my-clips").mkdir()
    for i in range(12):
        write(tmp_path / "my-clips" / f"c{i:02d}.y4m", header(256, 192), moving(256, 192, 1, i))
    c = load_config(config(tmp_path, text))
    assert [f.stem for f in c.held_clips] == ["c01", "c11"]
    assert len(c.train_clips) == 10
    assert check.check(c)[-1].startswith("1.7 hours in all")
    for kind, path in c.init.items():
        load_state(FrameModel(c.shapes[kind]), path)
    wheel = (ROOT / "pyproject.toml").read_text()
    assert '"weights/training" = "vqcodec/data/training"' in wheel


def test_a_short_stage_keeps_the_pairs_that_it_made(tmp_path: Path) -> None:
    chunk = pairs.ChunkWriter(tmp_path / "p0", 60, chunks.save_pairs)
    pair = chunks.Pair(black(), black(True), 30.0)
    assert not chunk.add(pair)
    assert not list(tmp_path.iterdir())
    assert chunk.end() == 1
    assert [f.name for f in tmp_path.iterdir()] == ["p0_0000.npz.zst"]
    assert chunk.end() == 0
