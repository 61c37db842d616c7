"""Pipelines that take a mask themselves, filled by `inpaint`, against their own calls."""

from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import diffusers
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from generator.pipelines import whole

import latentlab as ll
from latentlab.control.inpaint import _noise
from latentlab.generator.grid import to_grid

KINDS = {
    "StableDiffusion": lambda: whole.stable_diffusion(
        diffusers.StableDiffusionInpaintPipeline, unet=whole.unet(in_channels=9)
    ),
    "StableDiffusionXL": lambda: whole.sdxl(
        diffusers.StableDiffusionXLInpaintPipeline, unet=whole.sdxl_unet(in_channels=9)
    ),
    "FluxFill": lambda: whole.flux(diffusers.FluxFillPipeline, transformer=whole.flux_transformer(2 * 16 + 256)),
    "WanVACE": whole.vace,
}
FOUR_CHANNELS = diffusers.StableDiffusionInpaintPipeline


@pytest.fixture(scope="module", params=KINDS)
def filling(request, tmp_path_factory):
    """A tiny pipeline that diffusers saved, and the generator that its folder is loaded as."""
    own, folder = KINDS[request.param](), tmp_path_factory.mktemp(request.param)
    own.pipe.save_pretrained(folder)
    frames, height, width = own.size
    return own.pipe, ll.load(folder, device="cpu", num_frames=frames, height=height, width=width, call=own.call)


def clips(generator, count: int) -> torch.Tensor:
    pixels = torch.randint(256, (count, 3, *generator.size), generator=torch.Generator().manual_seed(0))
    return pixels / 127.5 - 1


def box(generator) -> torch.Tensor:
    mask = torch.zeros(1, 1, *generator.size)
    mask[..., 10:23, 9:30] = 1
    return mask


def frames_of(clip: torch.Tensor) -> list[Image.Image]:
    pixels = ((clip + 1) * 127.5).round().byte().movedim(0, -1)
    return [Image.fromarray(frame.squeeze(-1).numpy()) for frame in pixels]


def test_what_is_filled_is_what_the_pipelines_own_call_fills(filling):
    pipe, generator = filling
    count = 2 if generator.reading.batches else 1
    source, captions = clips(generator, count), ["a red dog", "one blue star"][:count]
    told = generator.condition(captions, negative="blurry")
    made = ll.inpaint(generator, source, box(generator), told, refine=0, num_steps=3, guidance=3.0, method="ddim")
    assert torch.equal(made.video[(made.region == 0).expand_as(source)], source[(made.region == 0).expand_as(source)])

    hole = made.hole.expand(count, -1, -1, -1, -1)
    if generator.heard_mask == "latents":
        hole = F.interpolate(to_grid(hole, generator.latent_shape[1:]), hole.shape[2:])
    frames, masks = [frames_of(clip) for clip in source], [frames_of(2 * mask - 1) for mask in hole]
    asked = {"image": [f[0] for f in frames], "mask_image": [m[0] for m in masks]}
    if generator.call.frames:
        asked = {"video": frames[0], "mask": masks[0]}
    said = generator.call.arguments(captions, generator.size, guidance=3.0, negative=["blurry"] * count, num_steps=3)
    asked = said | asked
    asked["latents"] = generator.layout(generator.size).states(_noise(generator.encode(source), 0, slice(count)))
    with torch.no_grad(), patch.object(DiagonalGaussianDistribution, "sample", lambda own, generator: own.mode()):
        theirs = pipe(**asked)[0]
    theirs = theirs[:, :, None] if theirs.ndim == 4 else theirs.transpose(1, 2)
    assert (made.raw / 2 + 0.5 - theirs).abs().max() <= 2e-5
    assert theirs.std() > 0.01


def test_one_painted_pixel_is_heard(filling):
    _, generator = filling
    source, dot = clips(generator, 1), torch.zeros(1, 1, *generator.size)
    dot[..., -1, 13, 18] = 1
    nothing = generator.condition("a red dog", image=source, mask=torch.zeros_like(dot))
    heard = generator.condition("a red dog", image=source, mask=dot)
    y = generator.noise(1)
    assert not torch.equal(generator.predict(y, 0.7, heard), generator.predict(y, 0.7, nothing))
    if generator.heard_mask == "latents":
        (mask,) = (t for name, t in heard.parts.items() if t.shape[1:] == (1, 8, 8))
        assert mask.nonzero().tolist() == [[0, 0, 1, 2]]


@pytest.mark.parametrize("filling", ["WanVACE"], indirect=True)
def test_a_mask_of_one_frame_touches_the_latent_of_that_frame_alone(filling):
    _, generator = filling
    for frame, latent in [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)]:
        mask = torch.zeros(1, 1, *generator.size)
        mask[:, :, frame, 10:13, 9:12] = 1
        told = generator.condition("a red dog", image=clips(generator, 1), mask=mask)
        (heard,) = (t for name, t in told.parts.items() if ".prepare_masks" in name)
        assert heard[0].amax((0, 2, 3)).nonzero().flatten().tolist() == [latent]


def test_a_network_of_four_channels_hears_no_mask_and_has_its_latents_held():
    own = whole.stable_diffusion(FOUR_CHANNELS)
    generator = ll.load(own.pipe, height=64, width=64)
    assert generator.heard_mask is None
    source, mask = clips(generator, 1), box(generator)
    assert generator.hearing(generator.condition("a red dog"), source, mask) is None
    with pytest.raises(ValueError, match="this StableDiffusionInpaintPipeline takes no mask"):
        generator.condition("a red dog", image=source, mask=mask)


def test_a_mask_without_its_clip_is_asked_for(filling):
    _, generator = filling
    with pytest.raises(ValueError, match=r"takes a mask with clips: condition\(..., image=clips\)"):
        generator.condition("a red dog", mask=box(generator))
