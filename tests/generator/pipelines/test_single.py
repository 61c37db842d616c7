"""Models that are one file of weights, in the layout of their authors, beside settings in a folder."""

import shutil
import socket

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from generator.pipelines import original, whole
from safetensors.torch import save_file

import latentlab as ll


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Whoever asks the network fails."""

    def refuse(*args, **options):
        raise AssertionError("nothing is downloaded")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def settings(pipe, folder, *, without=()):
    """A folder as it is fetched for its settings: of some parts, no weights."""
    pipe.save_pretrained(folder)
    for name in without:
        for file in (folder / name).glob("*.safetensors"):
            file.unlink()
    return folder


@pytest.fixture(scope="module")
def stable(tmp_path_factory):
    """Stable Diffusion as one checkpoint, its settings, and the generator of its folder."""
    place, pipe = tmp_path_factory.mktemp("sd"), whole.stable_diffusion().pipe
    save_file(original.stable_diffusion(pipe), place / "tiny.safetensors")
    pipe.save_pretrained(place / "whole")
    settings(pipe, place / "settings", without=("unet", "vae", "text_encoder"))
    return place / "tiny.safetensors", place / "settings", place / "whole"


def test_a_whole_checkpoint_is_the_pipeline_of_its_folder(stable):
    file, config, folder = stable
    one, other = (ll.load(path, **more, device="cpu", height=64, width=64)
                  for path, more in ((file, {"config": config}), (folder, {})))  # fmt: skip
    y, told = one.noise(1, seed=1), "a red dog"
    sampled = one.sample(y, told, num_steps=2, guidance=3.0)
    assert torch.equal(sampled, other.sample(y, told, num_steps=2, guidance=3.0))
    assert torch.equal(one.decode(sampled), other.decode(sampled))
    assert torch.equal(one.sample(one.invert(sampled, told, num_steps=2, method="leapfrog")), sampled)


def test_the_autoencoder_may_have_a_precision_of_its_own(stable):
    file, config, _ = stable
    half = ll.load(file, config=config, device="cpu", dtype=torch.bfloat16, height=64, width=64)
    assert (half.dtype, half.coder.vae.dtype) == (torch.bfloat16, torch.float32)


def test_a_denoiser_alone_goes_with_the_folder_s_autoencoder(tmp_path):
    pipe = whole.wan().pipe
    file = tmp_path / "wan.safetensors"
    save_file(original.wan(pipe.transformer), file)
    assert "blocks.0.self_attn.q.weight" in original.wan(pipe.transformer)
    config = settings(pipe, tmp_path / "settings", without=("transformer", "text_encoder"))
    size = {"num_frames": 5, "height": 32, "width": 32}
    with pytest.warns(UserWarning, match="text_encoder"):
        generator = ll.load(file, config=config, device="cpu", **size)
    own = ll.load(pipe, **size)
    told = own.condition("a red dog")
    y = own.noise(1, seed=0)
    assert torch.equal(generator.sample(y, told, num_steps=2), own.sample(y, told, num_steps=2))


def test_an_autoencoder_alone(tmp_path):
    vae = whole.image_vae()
    vae.save_pretrained(tmp_path)
    file = tmp_path / "vae.safetensors"
    save_file({k: t.contiguous() for k, t in original.autoencoder(vae).items()}, file)
    (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    generator = ll.load(file, config=tmp_path, device="cpu")
    video = torch.rand(1, 3, 1, 32, 32) * 2 - 1
    expected = vae.encode(video[:, :, 0]).latent_dist.mode() * vae.config.scaling_factor
    torch.testing.assert_close(generator.encode(video)[:, :, 0], expected)


def test_a_quantised_denoiser_stays_so_and_comes_back(tmp_path):
    gguf = pytest.importorskip("gguf")
    pipe = whole.wan().pipe
    writer = gguf.GGUFWriter(tmp_path / "wan.gguf", "wan")
    for name, weight in original.wan(pipe.transformer).items():
        large = weight.ndim == 2 and weight.shape[1] % 32 == 0
        kind = gguf.GGMLQuantizationType.Q8_0 if large else gguf.GGMLQuantizationType.F32
        packed = gguf.quants.quantize(weight.float().numpy(), kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    config = settings(pipe, tmp_path / "settings", without=("transformer",))
    generator = ll.load(tmp_path / "wan.gguf", config=config, device="cpu", num_frames=5, height=32, width=32)
    packed = [p for p in generator.pipe.transformer.parameters() if p.dtype == torch.uint8]
    assert packed
    latents = generator.noise(1, seed=0)
    inverted = generator.invert(latents, "a red dog", num_steps=2, method="leapfrog")
    assert torch.equal(generator.sample(inverted), latents)
    own = ll.load(pipe, num_frames=5, height=32, width=32)
    near = own.sample(latents, "a red dog", num_steps=2)
    assert 0 < (generator.sample(latents, "a red dog", num_steps=2) - near).abs().max() < 0.05 * near.std()


# ---------------------------------------------------------------------------------------------------------- refusals
def test_settings_are_asked_for_with_where_they_are(stable):
    file, config, _ = stable
    with pytest.raises(ValueError, match=r"give config=.*hf download stable-diffusion-v1-5/stable-diffusion-v1-5"):
        ll.load(file, device="cpu")
    with pytest.raises(ValueError, match="config='owner/name' is no folder here"):
        ll.load(file, config="owner/name", device="cpu")
    with pytest.raises(ValueError, match="config= goes with one file of weights"):
        ll.load(config, config=config, device="cpu")


def test_what_neither_holds_is_named(stable, tmp_path):
    _, config, _ = stable
    unet = {k: t for k, t in original.stable_diffusion(whole.stable_diffusion().pipe).items() if "diffusion" in k}
    file = tmp_path / "unet.safetensors"
    save_file(unet, file)
    with (
        pytest.raises(ValueError, match="vae holds settings alone, and no weights"),
        pytest.warns(UserWarning, match="text_encoder"),
    ):
        ll.load(file, config=config, device="cpu")
    del unet["model.diffusion_model.middle_block.1.norm.weight"]
    save_file(unet, file)
    with pytest.raises(ValueError, match=r"unet\.safetensors .*(lacks 1 weights of unet|does not fit the settings)"):
        ll.load(file, config=config, device="cpu")


def test_settings_of_another_model_are_refused(stable, tmp_path):
    file, _, folder = stable
    other = shutil.copytree(folder, tmp_path / "other")
    wide = (
        (other / "unet" / "config.json").read_text().replace('"cross_attention_dim": 32', '"cross_attention_dim": 48')
    )
    (other / "unet" / "config.json").write_text(wide)
    with pytest.raises(ValueError, match=r"does not fit the settings in .*of another model"):
        ll.load(file, config=other, device="cpu")


def test_a_file_that_is_cut_short_a_pickle_or_none_is_named(stable, tmp_path):
    file, config, _ = stable
    short = tmp_path / "short.safetensors"
    short.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"short\.safetensors is cut short by 100 bytes; fetch it again"):
        ll.load(short, config=config, device="cpu")
    for name, match in (
        ("v1.ckpt", r"is a pickle .*save_file\(torch\.load\('v1\.ckpt'"),
        ("v1.txt", "no file of weights"),
    ):
        (tmp_path / name).write_bytes(b"0" * 100)
        with pytest.raises(ValueError, match=match):
            ll.load(tmp_path / name, config=config, device="cpu")
    (tmp_path / "no.safetensors").write_bytes(b"\x02" + b"\0" * 7 + b"no" * 100)
    with pytest.raises(ValueError, match=r"no\.safetensors is no safetensors file"):
        ll.load(tmp_path / "no.safetensors", config=config, device="cpu")
