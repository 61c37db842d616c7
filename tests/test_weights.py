"""Weights on disk."""

import hashlib
import json
import os
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import latentlab
from latentlab.generator.vector_vae import VectorVAE, VectorVAEConfig, load_vector_vae
from latentlab.tensors import read_tensors, write_tensors
from latentlab.weights import fingerprint, read_pickled, read_weights, save_weights, state_of


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))  # BatchNorm counts batches in an integer


def test_tensors_and_config_come_back(tmp_path):
    save_weights(tmp_path / "deep" / "net.safetensors", network(), {"width": 3, "names": ["a", "b"]})
    tensors, config = read_weights(tmp_path / "deep" / "net.safetensors")
    assert config == {"width": 3, "names": ["a", "b"]}
    assert tensors.keys() == network().state_dict().keys()
    for name, value in network().state_dict().items():
        assert torch.equal(tensors[name], value)
        assert tensors[name].dtype == value.dtype


def test_half_precision_on_disk_is_read_as_float32(tmp_path):
    path = tmp_path / "net.safetensors"
    save_weights(path, network(), {}, dtype=torch.float16)
    tensors, _ = read_weights(path)
    for name, value in network().state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(tensors[name], expected)
        assert tensors[name].dtype == value.dtype


def test_weights_that_are_not_contiguous_are_saved_too(tmp_path):
    net = nn.Linear(3, 4, bias=False)
    net.weight = nn.Parameter(torch.arange(12.0).view(3, 4).T)
    save_weights(tmp_path / "net.safetensors", net, {})
    assert torch.equal(read_weights(tmp_path / "net.safetensors")[0]["weight"], net.weight)


def test_a_save_that_is_cut_off_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_weights(path, network(0), {"seed": 0})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_weights(path, network(1), {"seed": 1})
    tensors, config = read_weights(path)
    assert config == {"seed": 0}
    assert torch.equal(tensors["0.weight"], network(0).state_dict()["0.weight"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at .*absent.safetensors"):
        read_weights(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_a_file_that_is_cut_short_or_something_else_is_an_error(tmp_path, keep):
    path = tmp_path / "net.safetensors"
    save_weights(path, network(), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"net.safetensors is not a readable safetensors file"):
        read_weights(path)
    path.write_text("once upon a time")
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        read_weights(path)


def test_tensors_of_somebody_else_are_an_error(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="holds tensors but no latentlab config in its header"):
        read_weights(tmp_path / "foreign.safetensors")


def test_equal_weights_have_equal_fingerprints_and_others_do_not():
    assert fingerprint(network(0)) == fingerprint(network(0))
    assert fingerprint(network(0)) != fingerprint(network(1))
    assert fingerprint(network(0), network(1)) != fingerprint(network(1), network(0))
    assert fingerprint(nn.Linear(2, 3, bias=False).half()) != fingerprint(nn.Linear(3, 2, bias=False).half())


def test_the_fingerprint_of_float32_is_over_its_bytes_and_half_precision_has_its_own():
    module = network()
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode() + value.float().numpy().tobytes())
    assert fingerprint(module) == digest.hexdigest()
    assert fingerprint(module.bfloat16()) != digest.hexdigest()


def test_the_state_of_weights_changes_with_a_value_whatever_the_way():
    """The ways of users, of numpy, of merged adapters; what copies or moves weights is no change."""
    module = network(0)
    first, states = module[0].weight, [state_of(module)]
    first.data = first.data.clone()
    module[0].to(memory_format=torch.channels_last)
    assert state_of(module) == states[0] == state_of(network(0))

    def copied() -> None:
        first.data = first.data + 1

    ways = (
        lambda: first.add_(1),
        lambda: first.detach().mul_(2),
        lambda: first.data.mul_(1.5),
        lambda: first.data[-1, -1].mul_(1.00001),
        lambda: np.add(first.detach().numpy(), 1, out=first.detach().numpy()),
        lambda: module[1].num_batches_tracked.data.add_(1),
        lambda: module.half(),
        copied,
    )
    with torch.no_grad():
        for change in ways:
            change()
            states.append(state_of(module))
    assert len(set(states)) == 1 + len(ways)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (70, 33, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool])
def test_one_bit_of_any_weight_is_noticed(shape, dtype):
    module = nn.Module()
    module.register_buffer("weight", torch.zeros(shape, dtype=dtype))
    bits = module.weight.view(-1).view(torch.uint8)
    states = {state_of(module)}
    for place in {0, len(bits) // 2, len(bits) - 1}:
        bits[place] += 1
        states.add(state_of(module))
    assert len(states) == 1 + len({0, len(bits) // 2, len(bits) - 1})


def test_a_quantised_weight_is_known_by_what_it_is_made_of():
    quantization = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    marks = set()
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(32, 32))
        quantization.quantize_(module, quantization.Int8WeightOnlyConfig())
        marks.add((fingerprint(module), state_of(module)))
    assert len(marks) == 2


def lied(path, **lies) -> None:
    """The file with other settings in its header; those that are `...` are left out."""
    tensors, config = read_weights(path)
    write_tensors(path, "config", {k: v for k, v in {**config, **lies}.items() if v is not ...}, tensors)


@pytest.mark.parametrize(
    ("network", "lies"),
    [
        ("denoiser", {"blocks": 10**9}),
        ("denoiser", {"widths": [10**9, 10**9]}),
        ("denoiser", {"widths": []}),
        ("denoiser", {"window": 0}),
        ("denoiser", {"window": 10**9}),
        ("denoiser", {"head_width": 0}),
        ("denoiser", {"latent_channels": "2"}),
        ("denoiser", {"context_width": 64}),
        ("denoiser", {"colour": "red"}),
        ("autoencoder", {"latent_channels": -1}),
        ("autoencoder", {"decoder_blocks": [1, 1, 10**9]}),
        ("clip", {"vision_layers": 10**9}),
        ("clip", {"vocabulary": ...}),
        ("clip", {"context_length": 10**7}),
        ("vector_vae", {"num_frames": 10**9}),
        ("vector_vae", {"size": None}),
    ],
)
def test_a_header_that_speaks_of_another_network_is_told_before_memory_is_spent(
    network, lies, tiny_generator, tmp_path
):
    tiny_generator.save(tmp_path)
    vae = VectorVAE(VectorVAEConfig(dims=3, motion_dims=1, num_frames=4, size=(16, 16), width=8, hidden=16))
    save_weights(tmp_path / "vector_vae.safetensors", vae, asdict(vae.config))
    load = load_vector_vae if network == "vector_vae" else latentlab.load
    assert load(tmp_path)
    lied(tmp_path / f"{network}.safetensors", **lies)
    with pytest.raises(ValueError, match=rf"{network}.safetensors is damaged or no file of this network"):
        load(tmp_path)


def test_weights_that_are_not_finite_are_damaged(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path)
    tensors, config = read_weights(tmp_path / "denoiser.safetensors")
    name = max(tensors)
    tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, tmp_path / "denoiser.safetensors", {"config": json.dumps(config)})
    with pytest.raises(ValueError, match=rf"denoiser.safetensors is damaged: {name} of its tensors hold NaN"):
        latentlab.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"height": 17}, "sides that are multiples of 16, got 4 frames of 17 x 16"),
        ({"height": True}, "expected a height such as 64, got True"),
        ({"num_frames": 100_000, "height": 96_000, "width": 96_000}, "larger than 2,147,483,648 pixels"),
    ],
)
def test_settings_that_the_networks_cannot_have_are_named(settings, said, tiny_generator, tmp_path):
    tiny_generator.save(tmp_path)
    file = tmp_path / "generator.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))
    with pytest.raises(ValueError, match=f"generator.json: .*{said}"):
        latentlab.load(tmp_path)


def test_settings_nested_without_end_are_no_settings(tmp_path):
    (tmp_path / "generator.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"generator.json is not what NativeGenerator.save writes"):
        latentlab.load(tmp_path)


@pytest.mark.parametrize("written", [b"", b"once upon a time", pickle.dumps({"step": print})])
def test_a_pickle_that_is_damaged_or_runs_something_is_told_and_nobody_is_advised_to_run_it(written, tmp_path):
    (tmp_path / "state.pt").write_bytes(written)
    with pytest.raises(ValueError, match=r"state.pt is no readable checkpoint: it is damaged, cut short") as told:
        read_pickled(tmp_path / "state.pt", "checkpoint")
    assert "weights_only" not in str(told.value)


def test_tensors_that_share_memory_are_written_each(tmp_path):
    whole = torch.arange(6.0)
    write_tensors(tmp_path / "a.safetensors", "x", {}, {"one": whole, "same": whole, "part": whole[2:4]})
    tensors, _ = read_tensors(tmp_path / "a.safetensors", "x", "tensors")
    assert torch.equal(tensors["one"], whole)
    assert torch.equal(tensors["same"], whole)
    assert tensors["part"].tolist() == [2, 3]
