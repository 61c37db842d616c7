"""Control branches of pipelines, through `Control`, against those pipelines' own calls."""

from unittest.mock import patch

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from generator.pipelines import whole

import latentlab as ll
from latentlab.cli import main
from latentlab.control import Control, read_control
from latentlab.video import read, write

CAPTIONS = ["a red dog", "one blue star"]
KINDS = {
    "StableDiffusion": whole.stable_diffusion,
    "StableDiffusionXL": whole.sdxl,
    "StableDiffusion3": lambda: whole.sd3(layers=2),  # its last block takes nothing from a branch
    "Flux": whole.flux,
    "WanVACE": whole.vace,
}


def loaded(own):
    frames, height, width = own.size
    return ll.load(own.pipe, num_frames=frames, height=height, width=width, call=own.call)


QUICK = ("StableDiffusion", "WanVACE")  # a network beside the denoiser, and a branch within it


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind not in QUICK)) for kind in KINDS]
)
def branched(request, tmp_path_factory):
    """A generator, and the branch beside it: of a folder that diffusers wrote, or the pipeline's own."""
    generator, folder = loaded(KINDS[request.param]()), tmp_path_factory.mktemp(request.param)
    if request.param == "WanVACE":
        return generator, read_control(None, generator)
    whole.controlnet(generator.denoiser).save_pretrained(folder)
    return generator, read_control(folder, generator)


def cards(generator, count: int, *, seed: int = 1) -> torch.Tensor:
    pixels = torch.randint(256, (count, 3, *generator.size), generator=torch.Generator().manual_seed(seed))
    return pixels / 255


def called(generator, network, noise, negative, told) -> torch.Tensor:
    """What the own call of the branch's pipeline makes of noise and captions."""
    count = len(noise)
    asked = network.call.arguments(CAPTIONS[:count], generator.size, guidance=3.0, negative=negative, num_steps=3)
    asked |= {"latents": generator.layout(generator.size).states(noise), "output_type": "latent", **told}
    with torch.no_grad(), patch.object(DiagonalGaussianDistribution, "sample", lambda own, generator=None: own.mode()):
        return generator.layout(generator.size).latents(network.call.pipe(**asked)[0], count)


def test_controlled_clips_are_those_of_the_pipelines_own_call(branched):
    generator, network = branched
    count = 2 if generator.reading.batches else 1
    noise, condition = generator.noise(count), generator.condition(CAPTIONS[:count], negative="blurry")
    card, steps = cards(generator, count), {"num_steps": 3, "method": "ddim", "guidance": 3.0}
    ours = generator.guided(Control(network, {"edges": card}, 0.8)).sample(noise, condition, **steps)
    picture, scale = network.call.control
    told = {picture: card.movedim(1, 2) if picture == "video" else card[:, :, 0], scale: 0.8}
    theirs = called(generator, network, noise, ["blurry"] * count, told)
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.std()

    plain = generator.sample(noise, condition, **steps)
    assert not torch.equal(ours, plain)
    for off in (Control(network, {"edges": card}, 0.0), Control(network, {"edges": card}, levels=(0.0, 0.0))):
        assert torch.equal(generator.guided(off).sample(noise, condition, **steps), plain)


def test_two_controlnets_each_with_its_picture():
    generator = loaded(whole.stable_diffusion())
    nets = {name: whole.controlnet(generator.denoiser, seed=i) for i, name in enumerate(("edges", "depth"))}
    network, noise = read_control(nets, generator), generator.noise(1)
    pictures = {"depth": cards(generator, 1, seed=2), "edges": cards(generator, 1)}
    condition = generator.condition(CAPTIONS[0], negative="blurry")
    control = Control(network, pictures, {"edges": 0.5, "depth": 0.9})
    ours = generator.guided(control).sample(noise, condition, num_steps=3, method="ddim", guidance=3.0)
    told = {"image": [pictures[k][:, :, 0] for k in nets], "controlnet_conditioning_scale": [0.5, 0.9]}
    theirs = called(generator, network, noise, ["blurry"], told)
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.std()
    with pytest.raises(ValueError, match="kinds of control are edges, depth, got 'pose'"):
        Control(network, {"pose": pictures["edges"]})


@pytest.mark.slow
def test_a_pipeline_that_holds_its_controlnet_runs_without_pictures_as_one_that_does_not():
    plain = loaded(whole.stable_diffusion())
    net = whole.controlnet(plain.denoiser)
    held = loaded(whole.Whole(read_control(net, plain).call.pipe, (None, 64, 64)))
    noise = plain.noise(1)
    assert torch.equal(
        held.sample(noise, "a red dog", num_steps=2, method="ddim"),
        plain.sample(noise, "a red dog", num_steps=2, method="ddim"),
    )
    control, card = read_control(None, held), cards(held, 1)
    ours = held.guided(Control(control, {"edges": card})).sample(noise, "a red dog", num_steps=2, method="ddim")
    beside = plain.guided(Control(read_control(net, plain), {"edges": card}))
    assert torch.equal(ours, beside.sample(noise, "a red dog", num_steps=2, method="ddim"))


def test_what_is_no_branch_of_this_pipeline_is_refused(branched, tmp_path):
    generator, network = branched
    with pytest.raises(FileNotFoundError, match=r"no config\.json of a ControlNet"):
        read_control(tmp_path, generator)
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(ValueError, match="holds a AutoencoderKL, expected a ControlNet"):
        read_control(tmp_path, generator)
    if network.call.pipe is not generator.pipe:
        with pytest.raises(ValueError, match="has no control branch"):
            read_control(None, generator)
    with pytest.raises(ValueError, match=r"got shape \(1, 1, 1, 2\)"):
        generator.guided(Control(network, {"edges": torch.zeros(3, 2)[None, None, None][:, :, :, 0]}))


@pytest.mark.slow
def test_a_clip_to_follow_and_one_to_fill_are_not_told_together():
    generator = loaded(whole.vace())
    controlled = generator.guided(Control(read_control(None, generator), {"depth": cards(generator, 1)}))
    mask = torch.zeros(1, 1, *generator.size)
    mask[..., :9, :9] = 1
    with pytest.raises(ValueError, match="WanVACEPipeline hears one clip"):
        ll.inpaint(controlled, cards(generator, 1) * 2 - 1, mask, refine=0, num_steps=2)


def test_the_command_line_runs_a_controlnet(tmp_path):
    own, card, drawn = whole.stable_diffusion(), tmp_path / "card", {}
    own.pipe.save_pretrained(tmp_path / "model")
    whole.controlnet(own.pipe.unet).save_pretrained(tmp_path / "net")
    write(card, torch.rand(1, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    model = ("--model", str(tmp_path / "model"), "--size", "64x64", "--steps", "2")
    control = ("--control", f"edges={card}=0.8@1-0.3", "--control-network", str(tmp_path / "net"))
    for name, told in (("plain", ()), ("controlled", control)):
        assert main(["generate", "a red dog", *model, *told, "--out", str(tmp_path / f"{name}.png")]) == 0
        drawn[name] = read(tmp_path / f"{name}.png").video
    assert not torch.equal(drawn["plain"], drawn["controlled"])
    assert main(["generate", "a red dog", *model, *control[:2], "--out", str(tmp_path / "none.png")]) != 0
