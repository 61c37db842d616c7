"""Inpainting, on tiny networks: what is outside stays to the bit, whatever the rest does."""

from dataclasses import replace

import pytest
import torch

from latentlab.control import inpaint, masks
from latentlab.control.known import known
from latentlab.control.refine import refined
from latentlab.control.seam import matched, pasted, seam
from latentlab.generator.sampler import Sampler
from latentlab.generator.solver import solve

QUICK = {"num_steps": 2, "refine": 2}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clip(count: int = 1, frames: int = 4, size: int = 16, seed: int = 0) -> torch.Tensor:
    return draw(count, 3, frames, size, size, seed=seed).div(3).clamp(-1, 1)


def corner(frames: int = 4, size: int = 16) -> torch.Tensor:
    mask = torch.zeros(1, 1, frames, size, size)
    mask[..., :3, :3] = 1
    return mask


@pytest.mark.parametrize("blend", ["match", "paste"])
@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (1, 0), (2, 3)])
def test_outside_of_the_region_every_pixel_is_the_sources(generator, blend, grow, feather):
    source = clip(2)
    mask = torch.rand(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * corner()
    result = inpaint(generator, source, mask, "a red star", grow=grow, feather=feather, blend=blend, **QUICK)
    outside = (result.region == 0).expand_as(source)
    assert torch.equal(result.video[outside], source[outside])
    assert not torch.equal(result.video, source)
    assert result.region[..., 3 + grow + feather :].max() == 0
    if grow == feather == 0:
        assert torch.equal(result.region, mask)


def test_a_clip_does_not_depend_on_those_beside_it(generator):
    source = clip(2)
    both = inpaint(generator, source, corner(), ["a red star", "blue"], **QUICK).video
    first = inpaint(generator, source[:1], corner(), "a red star", **QUICK).video
    batched = inpaint(generator, source, corner(), ["a red star", "blue"], batch_size=1, **QUICK).video
    torch.testing.assert_close(both[:1], first, atol=1e-4, rtol=0)
    torch.testing.assert_close(both, batched, atol=1e-4, rtol=0)


def test_seeds_and_captions_change_the_hole(generator):
    made = [
        inpaint(generator, clip(), corner(), c, seed=s, **QUICK).video for c, s in (("red", 0), ("red", 1), ("", 0))
    ]
    assert not torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert torch.equal(made[0], inpaint(generator, clip(), corner(), "red", **QUICK).video)


def test_a_full_mask_is_translation(generator):
    weak, strong = (inpaint(generator, clip(), torch.ones(16, 16), "a star", start=s, **QUICK) for s in (1e-4, 1.0))
    near, far = ((made.raw - generator.decode(generator.encode(clip()))).abs().max() for made in (weak, strong))
    assert 0 < near < 0.01 < far
    assert weak.numbers()["outside_psnr"] == weak.numbers()["seam"] == [None]
    assert "outside" not in " ".join(weak.lines())


def test_an_image_is_a_clip_of_one_frame(generator):
    result = inpaint(generator, clip(frames=1), corner(1), "a star", **QUICK)
    assert result.video.shape == (1, 3, 1, 16, 16)
    assert torch.equal(result.video[..., 9:], clip(frames=1)[..., 9:])


def test_frames_that_are_not_painted_stay(generator):
    mask = corner().clone()
    mask[:, :, 1:] = 0
    result = inpaint(generator, clip(), mask, "a star", **QUICK)
    assert torch.equal(result.video[:, :, 1:], clip()[:, :, 1:])
    assert result.free[:, :, 1:].max() == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mask": torch.zeros(16, 16)}, "empty"),
        ({"mask": torch.ones(8, 8)}, "8, 8"),
        ({"mask": torch.full((16, 16), torch.nan)}, "nan"),
        ({"caption": "a purple elephant"}, "elephant"),
        ({"start": 0.0}, "start"),
        ({"blend": "poisson"}, "poisson"),
        ({"video": clip().mul(300)}, r"\[-1, 1\]"),
        ({"video": clip(frames=3, size=15), "mask": torch.ones(15, 15)}, "15"),
        ({"caption": ["red"] * 3}, "3 captions"),
    ],
)
def test_bad_input_is_answered(generator, change, says):
    given = {"video": clip(), "mask": corner(), "caption": "a star", **change}
    with pytest.raises(ValueError, match=says):
        inpaint(generator, **given, **QUICK)


def test_the_callback_hears_how_far_it_is_and_may_end_it(generator):
    heard: list[float] = []
    inpaint(generator, clip(), corner(), "a star", callback=heard.append, **QUICK)
    assert heard == sorted(heard)
    assert 0 < heard[0] < heard[-1] <= 1

    def cancel(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        inpaint(generator, clip(), corner(), "a star", callback=cancel, **QUICK)


def test_known_latents_arrive_as_they_are_by_every_solver():
    clean, noise = draw(1, 2, 4, 2, 2), draw(1, 2, 4, 2, 2, seed=1)
    free = torch.zeros(1, 1, 4, 2, 2)
    free[..., 0] = 1
    field = known(lambda y, s: torch.sin(3 * y) + s, clean, noise, free)
    for method in ("ddim", "midpoint", "heun"):
        end = solve(field, noise, torch.linspace(1, 0, 5), method=method)
        torch.testing.assert_close(end[..., 1], clean[..., 1], atol=1e-5, rtol=0)
        assert not torch.allclose(end[..., 0], clean[..., 0], atol=1e-2)


def test_under_eulers_rule_that_is_writing_them_in_before_each_step():
    clean, noise = draw(1, 2, 4, 2, 2), draw(1, 2, 4, 2, 2, seed=1)
    free = (torch.arange(2.0) * torch.ones(1, 1, 4, 2, 1)).contiguous()

    def mixing(y, s):  # a network whose every latent sees the others
        return y.flip(4) * s + y.mean()

    levels = torch.linspace(1, 0, 6)
    y = noise.clone()
    for s, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        y = free * y + (1 - free) * ((1 - s) * clean + s * noise)
        y = y + (after - s) * mixing(y, s)
    found = solve(known(mixing, clean, noise, free), noise, levels, method="ddim")
    torch.testing.assert_close(found[..., 1], y[..., 1], atol=1e-5, rtol=0)


def test_refined_takes_back_what_a_decoder_spreads():
    def decode(z):  # each pixel is its latent and a share of the frame's mean, as with norms over the frame
        return (z + 0.3 * z.mean((3, 4), keepdim=True)).expand(-1, 3, -1, -1, -1)

    before, hole = draw(1, 1, 2, 4, 4), torch.zeros(1, 1, 2, 4, 4)
    hole[..., :2, :2] = 1
    source = decode(before)
    drawn = torch.where(hole > 0, before + 2, before)

    def outside(z):
        return float(((decode(z) - source) * (1 - hole)).abs().max())

    better = refined(decode, drawn, source, hole, evaluations=30)
    assert outside(drawn) > 0.1
    assert outside(better) < 1e-3
    assert float(((decode(better) - decode(drawn)) * hole).abs().max()) < 1e-2  # and the hole is as it was drawn


def test_the_seam_is_the_step_that_the_source_has_not():
    source = torch.zeros(1, 3, 1, 8, 8)
    source[..., 4:] = 0.5  # an edge of its own
    hole = torch.zeros(1, 1, 1, 8, 8)
    hole[..., 2:6, 2:6] = 1
    assert float(seam(source, source, hole, width=0)) == 0
    brighter = source + 4 / 127.5 * hole
    assert float(seam(brighter, source, hole, width=0)) == pytest.approx(4, abs=1e-4)
    soft = pasted(source + 4 / 127.5, source, masks.feather(hole, 3))
    assert float(seam(soft, source, hole, width=3)) == pytest.approx(1, abs=1e-4)  # in four steps


def test_a_shift_of_colour_is_matched():
    source, hole = clip(), masks.dilate(corner(), 2)
    shift = torch.tensor([0.1, -0.2, 0.05]).view(1, 3, 1, 1, 1) * torch.arange(1, 5).view(1, 1, 4, 1, 1)
    torch.testing.assert_close(matched(source + shift, source, hole), source, atol=1e-5, rtol=0)
    nothing = torch.zeros_like(hole)
    assert torch.equal(matched(source + 1, source, nothing), source + 1)


def test_a_border_that_shows_is_told(generator):
    clip = torch.zeros(1, 3, generator.config.num_frames, 16, 16)
    mask = torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    found = inpaint(generator, clip, mask, num_steps=2, refine=0)
    plain = replace(found, seam=(0.7,), floor_seam=(0.3,))
    assert not any("border" in line for line in plain.lines())
    assert any("border can be seen" in line for line in replace(found, seam=(0.9,), floor_seam=(0.3,)).lines())


@pytest.mark.parametrize("sampler", [Sampler("midpoint", 2), Sampler("leapfrog", 3), Sampler("ddim", 2, "analysis")])
def test_a_sampler_says_how(generator, sampler):
    made = inpaint(generator, clip(), corner(), "a star", sampler=sampler, refine=0)
    words = {"method": sampler.method, "num_steps": sampler.num_steps, "guidance": sampler.guidance}
    same = inpaint(generator, clip(), corner(), "a star", sampler=Sampler(levels=sampler.levels), refine=0, **words)
    assert torch.equal(made.video, same.video)
    drawn = inpaint(generator, clip(), corner(), "a star", refine=0)
    assert not torch.equal(made.video, drawn.video)
    assert torch.equal(made.video[..., 9:], clip()[..., 9:])
