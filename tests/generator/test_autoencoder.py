"""The autoencoder: shapes, normalisation, independence of frames."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig, PixelNorm
from latentlab.generator.load import load_autoencoder
from latentlab.weights import read_weights, shipped

TINY = AutoencoderConfig(latent_channels=2, widths=(8, 16, 16), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1))


@pytest.fixture
def model() -> Autoencoder:
    torch.manual_seed(0)
    net = Autoencoder(TINY).eval().requires_grad_(False)
    net.mean.copy_(torch.tensor([0.3, -1.0]))
    net.std.copy_(torch.tensor([0.5, 2.0]))
    return net


def video(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 8, 8), (3, 16, 40), (17, 24, 8)])
def test_any_length_and_any_multiple_of_eight_fits(model, frames, height, width):
    clip = video(2, 3, frames, height, width)
    latents = model.encode(clip)
    assert latents.shape == (2, 2, frames, height // 8, width // 8)
    assert model.decode(latents).shape == clip.shape


@pytest.mark.parametrize(("height", "width"), [(12, 16), (16, 20), (7, 7)])
def test_other_sides_are_an_error_that_says_so(model, height, width):
    with pytest.raises(ValueError, match=f"multiples of 8 for this autoencoder, got {height} x {width}"):
        model.encode(video(1, 3, 2, height, width))


def test_encode_is_the_mode_brought_to_zero_mean_and_unit_variance(model):
    clip = video(2, 3, 4, 16, 16)
    mode = model.posterior(clip)[0]
    expected = torch.stack([(mode[:, 0] - 0.3) / 0.5, (mode[:, 1] + 1.0) / 2.0], dim=1)
    torch.testing.assert_close(model.encode(clip), expected)


def test_decode_undoes_the_normalisation(model):
    clip = video(2, 3, 4, 16, 16)
    torch.testing.assert_close(model.decode(model.encode(clip)), model.reconstruct(model.posterior(clip)[0]))


def test_frames_are_coded_one_by_one(model):
    clip = video(1, 3, 4, 16, 16)
    latents = model.encode(clip)
    for i in range(4):
        torch.testing.assert_close(model.encode(clip[:, :, i : i + 1]), latents[:, :, i : i + 1])
        torch.testing.assert_close(model.decode(latents)[:, :, i : i + 1], model.decode(latents[:, :, i : i + 1]))


def test_clips_of_a_batch_are_independent(model):
    clip = video(3, 3, 2, 16, 16)
    torch.testing.assert_close(model.encode(clip)[1:2], model.encode(clip[1:2]))


def test_the_divergence_is_that_of_torch(model):
    clip = video(2, 3, 2, 16, 16)
    mean, logvar = model.posterior(clip)
    exact = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * logvar).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(model(clip, torch.zeros_like(mean), torch.zeros(2))[1], exact.mean())


def test_training_without_noise_reconstructs_the_mode(model):
    clip = video(1, 3, 2, 16, 16)
    mode = model.posterior(clip)[0]
    torch.testing.assert_close(model(clip, torch.zeros_like(mode), torch.ones(1))[0], model.reconstruct(mode))


def test_the_same_latent_size_as_the_class_promises(model):
    assert 64 // model.encode(video(1, 3, 1, 64, 64)).shape[-1] == Autoencoder.spatial_compression_ratio


def test_training_adds_noise_in_units_of_the_batchs_latents(model):
    clip = video(3, 3, 2, 16, 16)
    noise = torch.randn(3, 2, 2, 2, 2, generator=torch.Generator().manual_seed(2))
    mean, logvar = model.posterior(clip)
    plain = model(clip, noise, torch.zeros(3))[0]
    torch.testing.assert_close(plain, model.reconstruct(mean + (logvar / 2).exp() * noise))
    blur, variance = torch.tensor([0.0, 0.1, 0.5]), mean.transpose(0, 1).flatten(1).var(1)
    width = (logvar.exp() + blur.view(3, 1, 1, 1, 1) ** 2 * variance.view(2, 1, 1, 1)).sqrt()
    torch.testing.assert_close(model(clip, noise, blur)[0], model.reconstruct(mean + width * noise))


def test_the_norm_of_pixels_is_torch_s_rms_norm_over_channels():
    torch.manual_seed(0)
    norm, x = PixelNorm(6), torch.randn(2, 6, 3, 5)
    norm.weight.data.uniform_(), norm.bias.data.uniform_()
    peer = F.rms_norm(x.permute(0, 2, 3, 1), (6,), norm.weight, eps=1e-6) + norm.bias
    torch.testing.assert_close(norm(x), peer.permute(0, 3, 1, 2))


@pytest.mark.parametrize(("norm", "local"), [("pixel", True), ("group", False)])
def test_what_is_far_from_a_changed_cell_stays_with_a_norm_of_pixels_alone(norm, local):
    torch.manual_seed(0)
    net = Autoencoder(replace(TINY, norm=norm)).eval().requires_grad_(False)
    clip, latents = video(1, 3, 1, 8, 192), torch.randn(1, 2, 1, 1, 24)
    other, touched = clip.clone(), latents.clone()
    other[..., :8] += 0.5
    touched[..., 0] += 2
    assert torch.equal(net.decode(latents)[..., 96:], net.decode(touched)[..., 96:]) == local
    assert torch.equal(net.encode(clip)[..., 12:], net.encode(other)[..., 12:]) == local
    assert not torch.equal(net.decode(latents)[..., :8], net.decode(touched)[..., :8])


def test_weights_of_before_say_nothing_of_the_norm_and_have_that_of_groups():
    with shipped() as folder:
        assert "norm" not in read_weights(folder / "autoencoder.safetensors")[1]
        assert load_autoencoder(folder).config.norm == "group"


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="got 'batch'"):
        AutoencoderConfig(norm="batch")  # type: ignore[arg-type]
