"""Folders whose weights cannot be read: one line each that says what to do."""

import json

import pytest
import torch
from safetensors.torch import save_file

from latentlab.generator.pipelines.files import check_weights, missing_bytes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "tokenizer").mkdir()
    save_file({"w": torch.zeros(10)}, tmp_path / "unet" / "model.safetensors")
    return tmp_path


def test_whole_weights_pass_and_so_do_parts_without_any(folder):
    check_weights(folder, ["unet", "tokenizer"])
    check_weights(folder, ["unet"], variant="fp16")  # diffusers takes those without a variant in their place


def test_a_truncated_file_is_named_with_what_it_lacks(folder):
    file = folder / "unet" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-12])
    assert missing_bytes(file) == 12
    with pytest.raises(ValueError, match=r"model\.safetensors is cut short by 12 bytes; fetch it again"):
        check_weights(folder, ["unet"])
    file.write_bytes(b"\x10")
    assert missing_bytes(file) > 0


def test_pickles_alone_are_not_read(folder):
    (folder / "unet" / "model.safetensors").rename(folder / "unet" / "model.bin")
    with pytest.raises(ValueError, match=r"as model\.bin alone, a pickle .* use_safetensors=False"):
        check_weights(folder, ["unet"])


def test_a_variant_that_was_not_asked_for_is_named(folder):
    (folder / "unet" / "model.safetensors").rename(folder / "unet" / "model.fp16.safetensors")
    check_weights(folder, ["unet"], variant="fp16")
    with pytest.raises(ValueError, match=r"no weights without a variant; load with variant='fp16'"):
        check_weights(folder, ["unet"])
    with pytest.raises(ValueError, match=r"no weights of variant 'bf16'; load with variant='fp16'"):
        check_weights(folder, ["unet"], variant="bf16")


def test_a_shard_that_is_gone_is_named(folder):
    index = {"weight_map": {"w": "model.safetensors", "v": "model-00002-of-00002.safetensors"}}
    (folder / "unet" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"names model-00002-of-00002\.safetensors, which are not there"):
        check_weights(folder, ["unet"])
