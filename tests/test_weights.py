"""Weights on disk."""

import hashlib
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from latentlab.weights import fingerprint, read_weights, save_weights, state_of


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


def test_the_state_of_weights_changes_with_each_write_and_replacement():
    module = network(0)
    states = [state_of(module)]
    assert state_of(module) == states[0]
    with torch.no_grad():
        next(module.parameters()).add_(1)
    states.append(state_of(module))
    first = next(module.parameters())
    first.data = first.data.clone()
    states.append(state_of(module))
    states.append(state_of(module.half()))
    assert len(set(states)) == 4
