"""Adapters: what they add, whose files are read, and how a generator with them is known."""

import copy
import json

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from latentlab.control import extract, merge
from latentlab.generator.adapter import Adapter
from latentlab.generator.update import LowRank, Whole, low_rank

CAPTION = "a red star"


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some(network: nn.Module, rank: int = 2, *, kinds=(nn.Linear, nn.Conv2d), alpha: float = 3.0) -> dict[str, LowRank]:
    """Random low-rank updates of every layer of these kinds, small enough to leave the network calm."""
    found = {}
    for i, (name, layer) in enumerate(network.named_modules()):
        if isinstance(layer, kinds):
            out, *inside = layer.weight.shape
            down, up = random(rank, *inside, seed=i), 0.02 * random(out, rank, *[1] * (len(inside) - 1), seed=i + 999)
            found[name] = LowRank(down, up, alpha)
    return found


@pytest.fixture
def generator(tiny_generator):
    return tiny_generator


@pytest.fixture
def adapter(generator):
    return Adapter(some(generator.denoiser), name="ink")


def velocity(generator, s=0.5):
    return generator.velocity(generator.condition(CAPTION))(generator.noise(1), s)


def draw(generator, caption=CAPTION):
    return generator.sample(generator.noise(2), caption, num_steps=2, guidance=2.0)


def test_strength_0_is_the_base_to_the_bit(generator, adapter):
    before = draw(generator)
    assert torch.equal(draw(generator.adapted({adapter: 0.0})), before)
    assert not torch.equal(draw(generator.adapted({adapter: 1.0})), before)
    assert torch.equal(draw(generator), before)  # the base is untouched


def test_an_adapter_is_what_its_formula_says(generator, adapter):
    """W + strength (alpha / r) B A, written out."""
    by_hand = copy.deepcopy(generator)
    for name, update in adapter.updates.items():
        layer = by_hand.denoiser.get_submodule(name)
        product = (update.up.flatten(1) @ update.down.flatten(1)).reshape(layer.weight.shape)
        layer.weight.data += 0.7 * 3.0 / 2 * product
    assert torch.allclose(draw(generator.adapted({adapter: 0.7})), draw(by_hand), atol=1e-4)
    merged = merge(generator, {adapter: 0.7}).denoiser.state_dict()
    assert all(torch.allclose(merged[name], w, atol=1e-6) for name, w in by_hand.denoiser.state_dict().items())


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Linear(6, 4), (3, 6)),
        (nn.Conv2d(6, 4, 3, padding=1, stride=2), (2, 6, 8, 8)),
        (nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1)), (1, 2, 3, 6, 6)),
        (nn.ConvTranspose2d(6, 4, 2, stride=2), (2, 6, 4, 4)),
        (nn.GroupNorm(2, 6), (2, 6, 4, 4)),
        (nn.LayerNorm(6), (2, 3, 6)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_added_to_an_output_is_what_the_weights_would_add(layer, x):
    x = random(*x)
    whole = Whole(random(*layer.weight.shape, seed=1), random(*layer.bias.shape, seed=2))
    updates = [whole]
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
        updates.append(low_rank(whole.weight, 2, whole.bias))
    for update in updates:
        changed = copy.deepcopy(layer)
        for name, delta in update.delta().items():
            getattr(changed, name).data += delta
        assert update.misfit(layer) is None
        assert torch.allclose(layer(x) + update.of(layer, x), changed(x), atol=1e-5)


def test_several_add_up_and_the_order_changes_nothing(generator):
    first, second = Adapter(some(generator.denoiser), name="a"), Adapter(some(generator.denoiser, 1), name="b")
    both = draw(generator.adapted({first: 0.5, second: -0.5}))
    assert torch.equal(both, draw(generator.adapted({second: -0.5, first: 0.5})))
    assert torch.allclose(both, draw(generator.adapted({first: 0.5}).adapted({second: -0.5})), atol=1e-3)
    assert torch.allclose(both, draw(merge(generator, {first: 0.5, second: -0.5})), atol=1e-3)


def test_a_region_and_levels(generator, adapter):
    half = torch.zeros(4, 2, 2)
    half[:, :, 0] = 1
    base, full = velocity(generator), velocity(generator.adapted({adapter: 1.0}))
    within = velocity(generator.adapted({adapter: 1.0}, mask=half))
    assert torch.equal(within[..., 1], base[..., 1])
    assert torch.equal(within[..., 0], full[..., 0])
    pixels = torch.zeros(4, 16, 16)
    pixels[:, 3, 3] = 1  # one pixel marks its whole latent
    within = velocity(generator.adapted({adapter: 1.0}, mask=pixels))
    assert torch.equal(within[..., 0, 0], full[..., 0, 0])
    assert torch.equal(within[..., 1, :], base[..., 1, :])
    early = generator.adapted({adapter: 1.0}, levels=(1.0, 0.6))
    assert torch.equal(velocity(early), base)
    assert torch.equal(velocity(early, 0.7), velocity(generator.adapted({adapter: 1.0}), 0.7))


def test_each_clip_may_have_a_region(generator, adapter):
    masks = torch.stack([torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2)])
    drawn = draw(generator.adapted({adapter: 1.0}, mask=masks))
    assert torch.equal(drawn[0], draw(generator)[0])
    assert torch.equal(drawn[1], draw(generator.adapted({adapter: 1.0}))[1])


def test_identity_tells_adapters_strengths_regions_and_levels(generator, adapter):
    mask = torch.ones(4, 2, 2)
    changed = [
        generator.adapted({adapter: 1.0}),
        generator.adapted({adapter: 0.5}),
        generator.adapted({adapter: 1.0}, mask=mask),
        generator.adapted({adapter: 1.0}, levels=(0, 0.5)),
        generator.adapted({adapter: 1.0}).adapted({Adapter(some(generator.denoiser, 1), name="b"): 1.0}),
        merge(generator, {adapter: 1.0}),
    ]
    known = {generator.fingerprint(), *(g.fingerprint() for g in changed)}
    assert len(known) == 1 + len(changed)
    inverted = changed[0].invert(generator.noise(1), CAPTION, num_steps=1)
    assert changed[0].sample(inverted).isfinite().all()
    with pytest.raises(ValueError, match="adapters"):
        generator.sample(inverted)
    json.dumps(changed[4].settings())


@pytest.mark.parametrize("suffix", [".safetensors", ""])
def test_saved_and_read_again_it_draws_the_same_bits(generator, adapter, tmp_path, suffix):
    adapter.save(tmp_path / f"ink{suffix}")
    back = Adapter.read(tmp_path / f"ink{suffix}")
    assert back.digest == adapter.digest
    assert torch.equal(draw(generator.adapted({back: 0.7})), draw(generator.adapted({adapter: 0.7})))
    assert torch.equal(
        draw(generator.adapted({str(tmp_path / f"ink{suffix}"): 0.7})), draw(generator.adapted({adapter: 0.7}))
    )


def kohya(updates: dict[str, LowRank], before: str = "lora_unet_") -> dict[str, torch.Tensor]:
    tensors = {}
    for name, update in updates.items():
        flat = before + name.replace(".", "_")
        tensors |= {f"{flat}.lora_down.weight": update.down, f"{flat}.lora_up.weight": update.up}
        tensors[f"{flat}.alpha"] = torch.tensor(update.alpha)
    return tensors


def test_a_kohya_file_is_the_same_adapter(generator, adapter, tmp_path):
    save_file(kohya(adapter.updates), tmp_path / "k.safetensors")
    ours, theirs = generator.adapted({adapter: 0.7}), generator.adapted({tmp_path / "k.safetensors": 0.7})
    assert torch.equal(draw(ours), draw(theirs))


def test_peft_reads_ours_and_we_read_peft(generator, adapter, tmp_path):
    peft = pytest.importorskip("peft")
    adapter.save(tmp_path / "ours")
    y, told = generator.noise(1), generator.condition(CAPTION)
    s = torch.tensor([0.5])
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(generator.denoiser), tmp_path / "ours")
    expected = velocity(generator.adapted({adapter: 1.0}))
    assert torch.allclose(theirs(y, s, told.tokens, told.mask), expected, atol=1e-6)
    config = peft.LoraConfig(
        r=4, lora_alpha=12, use_rslora=True, target_modules=["query", "modulate"], init_lora_weights=False,
        rank_pattern={"query": 2}, alpha_pattern={"modulate": 7},
    )  # fmt: skip
    trained = peft.get_peft_model(copy.deepcopy(generator.denoiser), config)
    trained.save_pretrained(tmp_path / "theirs")
    ours = velocity(generator.adapted({tmp_path / "theirs": 1.0}))
    assert torch.allclose(ours, trained(y, s, told.tokens, told.mask), atol=1e-6)


def test_new_words_travel_and_others_stay_refused(generator, adapter, tmp_path):
    ink = Adapter(adapter.updates, words={"ink": random(32)}, name="ink")
    ink.save(tmp_path / "ink.safetensors")
    inked = generator.adapted({tmp_path / "ink.safetensors": 1.0})
    assert not torch.equal(draw(inked, "ink, a red star"), draw(inked, "a red star"))
    assert torch.equal(
        generator.condition("a red star").tokens, generator.adapted({ink: 1.0}).condition("a red star").tokens
    )
    for unknown, asked in ((generator, "ink"), (inked, "paper")):
        with pytest.raises(ValueError, match=asked):
            unknown.condition(f"a red star, {asked}")


def test_extract_finds_what_was_merged(generator, adapter):
    tuned = merge(generator, {adapter: 1.0})
    found = extract(tuned, generator, rank=2)
    assert found.about["kept"] == pytest.approx(1, abs=1e-6)
    assert torch.allclose(draw(generator.adapted({found: 1.0})), draw(tuned), atol=1e-4)
    assert extract(tuned, generator, rank=1).about["kept"] < 0.999
    tuned.denoiser.middle.space.norm.bias.data += 1.0
    assert isinstance(extract(tuned, generator, rank=1).updates["middle.space.norm"], Whole)
    with pytest.raises(ValueError, match="same weights"):
        extract(generator, generator)


def test_another_base_is_refused(generator, adapter, tmp_path):
    found = extract(merge(generator, {adapter: 1.0}), generator, rank=2)
    found.save(tmp_path / "a.safetensors")
    half = copy.deepcopy(generator).to("cpu", torch.bfloat16)
    half.adapted({tmp_path / "a.safetensors": 1.0})  # the same weights, rounded
    generator.denoiser.enter.bias.data += 0.1
    with pytest.raises(ValueError, match="another base"):
        generator.adapted({tmp_path / "a.safetensors": 1.0})


def test_bad_adapters_are_told(generator, adapter, tmp_path):
    name, update = next(iter(adapter.updates.items()))
    with pytest.raises(ValueError, match="NaN"):
        Adapter({name: LowRank(update.down * torch.nan, update.up, 1.0)})
    with pytest.raises(ValueError, match="no update"):
        Adapter({})
    with pytest.raises(ValueError, match="nowhere"):
        generator.adapted({Adapter({"nowhere": update}): 1.0})
    with pytest.raises(ValueError, match=r"A \(2, 99\)"):
        generator.adapted({Adapter({name: LowRank(random(2, 99), update.up, 1.0)}): 1.0})
    with pytest.raises(ValueError, match="called 'ink'"):
        generator.adapted({adapter: 1.0, Adapter(adapter.updates, name="ink"): 1.0})
    with pytest.raises(ValueError, match="finite"):
        generator.adapted({adapter: float("nan")})
    with pytest.raises(ValueError, match="5 frames"):
        generator.adapted({adapter: 1.0}, mask=torch.ones(5, 2, 2))
    with pytest.raises(ValueError, match="flow times"):
        generator.adapted({adapter: 1.0}, levels=(-1.0, 1.0))
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        generator.adapted({tmp_path / "none.safetensors": 1.0})
    adapter.save(tmp_path / "a.safetensors")
    for old, new, said in ((".lora_B.weight", ".dora_scale", "DoRA"), (".lora_B.weight", ".nothing", "no adapter")):
        tensors = load_file(tmp_path / "a.safetensors")
        save_file({k.replace(old, new): v for k, v in tensors.items()}, tmp_path / "b.safetensors")
        with pytest.raises(ValueError, match=said):
            Adapter.read(tmp_path / "b.safetensors")
    tensors = {k: v for k, v in load_file(tmp_path / "a.safetensors").items() if "lora_A" in k}
    save_file(tensors, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="cut short"):
        Adapter.read(tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(ValueError, match="not a readable"):
        Adapter.read(tmp_path / "c.safetensors")


def test_two_threads_share_a_network(generator, adapter):
    from concurrent.futures import ThreadPoolExecutor

    inked = generator.adapted({adapter: 1.0})
    expected = draw(generator), draw(inked)
    with ThreadPoolExecutor(2) as pool:
        runs = [(which, pool.submit(draw, g)) for _ in range(4) for which, g in enumerate((generator, inked))]
    assert all(torch.equal(run.result(), expected[which]) for which, run in runs)


def test_half_precision_works(adapter):
    half = tiny.generator().to("cpu", torch.bfloat16)
    assert draw(half.adapted({adapter: 1.0})).isfinite().all()
