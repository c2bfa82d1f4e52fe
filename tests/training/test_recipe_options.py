"""Where a recipe trains and what its loss is made of, on the CPU; the tool for a lent GPU."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SIZES
from support.paths import ROOT

from vqcodec.codec.nets.shape import INTER, LARGE_INTRA, LARGE_KEY, NetShape
from vqcodec.encoding.nets.layers import Act
from vqcodec.errors import InputError, UsageError
from vqcodec.training import recipe as recipe_module
from vqcodec.training import release
from vqcodec.training.check import check
from vqcodec.training.config_file import load_config
from vqcodec.training.fused import eager
from vqcodec.training.loop import Run
from vqcodec.training.model import FrameModel
from vqcodec.training.recipe import Recipe
from vqcodec.training.release import balanced, calibrate
from vqcodec.training.states import learned_ranges, load_state

pytestmark = pytest.mark.usefixtures("one_thread")
DATA = "[data]\npages = 2\ncrop = 64\n"
SHAPE = "[shape.intra]\n" + "".join(f"{name} = {value}\n" for name, value in SIZES.items())
STAGES = """
[[stage]]
kind = "intra"
minutes = 0.01
border = 0.06
tiles = 0.5
halfway = true
[[stage]]
kind = "intra"
minutes = 0.01
batch = 3
quantise = true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text)
    return path


@pytest.fixture
def few_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """How well ranges are looked for has its own test: here it is over soon."""
    monkeypatch.setattr(recipe_module, "calibrate", partial(calibrate, batches=4))
    monkeypatch.setattr(release, "balanced", lambda model: islice(balanced(model), 2))


@pytest.mark.usefixtures("few_ranges")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # torch's own
def test_a_recipe_names_device_batch_and_fused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = '[run]\nfolder = "run"\ndevice = "cpu"\nbatch = 2\nfused = true\n'
    config = load_config(write(tmp_path, DATA + run + SHAPE + STAGES))
    seen: list[Any] = []
    train = Run.train

    def noted(self: Run, *args: Any) -> None:
        with eager():  # nothing is compiled in a test
            train(self, *args)
        seen.append((self.device.type, self.options))

    monkeypatch.setattr(Run, "train", noted)
    Recipe(config).run()
    assert [(device, o.batch, o.fused) for device, o in seen] == [
        ("cpu", 2, True),
        ("cpu", 3, True),
    ]
    first, second = (o.objective for _, o in seen)
    assert (first.border, first.tiles, first.grey, first.halfway) == (0.06, 0.5, 0.0, True)
    assert (second.border, second.tiles, second.halfway) == (0.0, 0.0, False)


def test_a_device_that_is_not_here_is_refused_before_the_first_stage(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    config = load_config(write(tmp_path, DATA + '[run]\ndevice = "cuda"\n' + STAGES))
    with pytest.raises(UsageError, match=r"device = 'cuda' in \[run\] can't be used"):
        check(config)


def test_nets_may_be_large(tmp_path: Path) -> None:
    text = DATA + '[shape]\nintra = "large"\nkey = "large"\n' + STAGES
    large = {"intra": LARGE_INTRA, "inter": INTER, "key": LARGE_KEY}
    assert load_config(write(tmp_path, text)).shapes == large
    with pytest.raises(UsageError, match="inter = 'large': use numbers of channels"):
        load_config(write(tmp_path, text.replace("key =", "inter =")))


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of tools/."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import device_train
    import parts
    import release_nets

    yield device_train, parts, release_nets
    for name in ("device_train", "parts", "release_nets", "held_out"):
        sys.modules.pop(name)


@pytest.mark.usefixtures("few_ranges")
def test_what_comes_back_from_a_lent_device_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: Any
) -> None:
    """In parts as joined; the ranges that nets have learned are not looked for again."""
    device_train, parts, release_nets = tools
    text = DATA + '[run]\nfolder = "run"\nbatch = 2\n' + SHAPE + STAGES
    config = load_config(write(tmp_path, text))
    out = tmp_path / "out"
    device_train.train(config, out, seconds=4.0, most=20_000)
    names = {path.name for path in out.iterdir()}
    assert {"train.log", "01-intra.pt.0", "01-intra.pt.1"} <= names
    assert all(path.stat().st_size <= 20_000 for path in out.glob("*.pt*"))
    shape = NetShape(inter=False, **SIZES)
    model = release_nets.trained(out / "01-intra.pt", shape)
    checkpoint = torch.load(config.folder / "01-intra.pt", weights_only=True)
    for name, value in checkpoint["ema"].items():
        assert torch.equal(model.state_dict()[name], value.half().float())

    joined = tmp_path / "joined.pt"
    joined.write_bytes(parts.read(out / "01-intra.pt"))
    again = replace(config, folder=tmp_path / "again", stages=config.stages[1:])
    again = replace(again, init={"intra": joined})
    monkeypatch.setattr(recipe_module, "calibrate", lambda *args: pytest.fail("calibrated again"))
    Recipe(again).run()


def test_the_state_that_is_kept_can_be_gone_on_with() -> None:
    kept = load_config(ROOT / "tools/large_intra.toml") if (ROOT / "shared").exists() else None
    assert kept is None or kept.init["intra"].samefile(ROOT / "weights/checkpoints/intra-large.pt")
    load_state(FrameModel(LARGE_INTRA), ROOT / "weights/checkpoints/intra-large.pt")


def test_states_of_other_sizes_and_other_files_are_refused(tmp_path: Path) -> None:
    model = FrameModel(NetShape(inter=False, **SIZES))
    with pytest.raises(InputError, match=r"intra-large.pt: no model of these sizes"):
        load_state(model, ROOT / "weights/checkpoints/intra-large.pt")
    for data in (b"", b"PK no archive", b"\x08\0\0\0\0\0\0\0{}      " * 9):
        path = tmp_path / "state.pt"
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"state.pt: no state of nets"):
            load_state(model, path)


def test_parts_join_to_the_file(tmp_path: Path, tools: Any) -> None:
    parts = tools[1]
    path = tmp_path / "a.pt"
    assert [p.name for p in parts.write(path, bytes(range(50)), 20)] == [
        "a.pt.0",
        "a.pt.1",
        "a.pt.2",
    ]
    assert parts.read(path) == bytes(range(50))
    assert parts.write(path, b"short", 20) == [path]  # nothing of before is left
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]
    assert parts.read(path) == b"short"
    with pytest.raises(FileNotFoundError):
        parts.read(tmp_path / "b.pt")


def test_nets_with_more_blocks_begin_as_they_were(tmp_path: Path) -> None:
    """Added blocks do nothing at first, and their ranges are to be observed."""
    torch.manual_seed(3)
    small = FrameModel(NetShape(inter=True, **SIZES))
    for act in (m for m in small.modules() if isinstance(m, Act)):
        act.peak += 1
        act.stretch.data += 0.1
    torch.save(small.state_dict(), tmp_path / "small.pt")
    more = SIZES | dict(enc_blocks=3, prior_blocks=2, dec_blocks=4, dec16_blocks=2)
    large = FrameModel(NetShape(inter=True, **more))
    load_state(large, tmp_path / "small.pt")
    picture, prediction = torch.rand(2, 2, 16, 16, 96) - 0.5
    quality = torch.tensor([10.0, 50.0])
    with torch.no_grad():
        seen = [m.eval()(picture, prediction, quality) for m in (small, large)]
    for before, after in zip(*seen, strict=True):
        assert torch.equal(before, after)
    assert learned_ranges(small)
    assert not learned_ranges(large)
    with pytest.raises(InputError, match="no model of these sizes"):
        load_state(
            FrameModel(NetShape(inter=True, **(SIZES | dict(dec8=24)))), tmp_path / "small.pt"
        )
