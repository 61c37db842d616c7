"""The autoencoder: shapes, normalisation, independence of frames."""

import pytest
import torch

from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig

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
