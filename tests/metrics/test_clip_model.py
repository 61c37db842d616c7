"""CLIP towers: the shipped model's, and open_clip's from a folder and a file against open_clip itself."""

import json

import pytest
import torch
from safetensors.torch import save_file

from latentlab.data import moving_shapes
from latentlab.data.moving.captions import captions
from latentlab.generator.load import load
from latentlab.metrics.clip_model import clip
from latentlab.metrics.perceptual import clip_direction, clip_score
from latentlab.video import from_uint8

open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
SEEN = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "interpolation": "bicubic", "resize_mode": "shortest"}


def tiny(folder, **preprocess):
    """A model of open_clip as its folders hold it, and the model."""
    torch.manual_seed(0)
    folder.mkdir()
    model = open_clip.CLIP(**TINY)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    config = {"model_cfg": TINY, "preprocess_cfg": SEEN | preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return model.eval()


@pytest.mark.parametrize("rule", ["shortest", "squash"])
def test_a_folder_is_seen_as_open_clip_sees_it(tmp_path, rule):
    from PIL import Image

    model = tiny(tmp_path / "model", resize_mode=rule)
    towers = clip(tmp_path / "model")
    small = torch.randint(0, 256, (2, 1, 9, 12, 3), generator=torch.Generator().manual_seed(0))
    pictures = small.repeat_interleave(8, 2).repeat_interleave(8, 3).byte().numpy()
    _, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'model'}")
    theirs = model.encode_image(torch.stack([preprocess(Image.fromarray(p[0])) for p in pictures]))
    ours = towers.image(from_uint8(pictures)[:, :, 0])
    assert torch.cosine_similarity(ours, theirs).min() > 0.9999  # theirs are rounded to 8 bits after resizing
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'model'}")(["a red star", "a dog"])
    torch.testing.assert_close(towers.text(["a red star", "a dog"]), model.encode_text(tokens))
    assert f"32 x 32 by {rule}, bicubic" in towers.preprocessing
    assert "mean [0.4, 0.5, 0.6], deviation [0.2, 0.3, 0.25]" in towers.preprocessing
    assert len(towers.settings()["weights"]) == 64
    assert clip_score(from_uint8(pictures), ["a", "b"], towers.image, towers.text).shape == (2,)


def test_a_checkpoint_needs_its_architecture(tmp_path, monkeypatch):
    tiny(tmp_path / "model")
    (tmp_path / "tiny-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    path = tmp_path / "model" / "open_clip_model.safetensors"
    frames = torch.zeros(1, 3, 32, 32)
    named, folder = clip(path, "tiny-clip"), clip(tmp_path / "model")
    assert named.fingerprint == folder.fingerprint
    assert named.image(frames).shape == (1, 16)
    with pytest.raises(ValueError, match=r"needs its `architecture`, one of open_clip.list_models\(\) .*, got None"):
        clip(path)


def test_nothing_is_left_random_or_downloaded(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"open_clip_config.json and .*huggingface.co/laion/"):
            clip(path)
    tiny(tmp_path / "model")
    (tmp_path / "model" / "open_clip_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no CLIP model at"):
        clip(tmp_path / "model")


def test_a_rule_that_pads_is_told(tmp_path):
    tiny(tmp_path / "model", resize_mode="longest")
    with pytest.raises(ValueError, match="resizes by 'longest'; shortest and squash are known"):
        clip(tmp_path / "model")


def test_the_shipped_model_tells_captions_apart():
    towers = clip(load(device="cpu").clip)
    video, factors = moving_shapes(12, seed=5)
    video, said = video[:, :, ::5], [captions(row)[0] for row in factors.values]
    right = clip_score(video, said, towers.image, towers.text)
    wrong = clip_score(video, said[1:] + said[:1], towers.image, towers.text)
    assert (right > wrong).float().mean() > 0.8
    way = clip_direction(video, video.roll(1, 0), said, said[-1:] + said[:-1], towers.image, towers.text)
    assert way.mean() > 0.2
    assert (towers.name, towers.preprocessing) == ("latentlab ClipModel", "each frame as a clip that stands still")
    assert len(towers.fingerprint) == 64
