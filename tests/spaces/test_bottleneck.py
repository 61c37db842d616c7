"""h-space: what it reads, what it moves, and that the generator is as it was."""

import pytest
import torch

from latentlab import EDIT
from latentlab.spaces import BottleneckSpace
from latentlab.spaces.hooks import hooked


def hooks(generator) -> int:
    return sum(len(m._forward_hooks) for network in generator.modules for m in network.modules())


@pytest.mark.parametrize("per_level", [False, True])
def test_unmoved_codes_give_the_round_trip_and_no_hook_is_left(tiny_generator, clips, per_level):
    space = BottleneckSpace(tiny_generator, num_steps=4, per_level=per_level, batch_size=2)
    codes = space.encode(clips)
    inside = (4, 32, 1, 1)  # four patches of one frame, 32 channels, one place
    assert space.shape == ((3, *inside) if per_level else inside)
    assert codes.shape == (3, space.dim)
    round_trip = tiny_generator.decode(tiny_generator.encode(clips))
    here = space.around(clips)
    torch.testing.assert_close(here.decode(codes), round_trip, atol=2e-4, rtol=0)
    torch.testing.assert_close(here.codes, codes)
    assert (space.floor(clips) > 0).all()
    assert hooks(tiny_generator) == 0
    assert tiny_generator.guides == ()


def test_codes_are_what_the_layer_says_on_the_way_to_noise(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=4, per_level=True)
    codes = space.unflatten(space.encode(clips))
    said = []
    with hooked(tiny_generator.denoiser.middle, lambda h: said.append(h.view(3, 4, 32, 1, 1))):
        tiny_generator.invert(tiny_generator.encode(clips), num_steps=4, method="leapfrog")
    # The first call, at the clip itself, has no partner on the way back.
    torch.testing.assert_close(codes, torch.stack(said[1:], 1))
    mean = BottleneckSpace(tiny_generator, num_steps=4)
    torch.testing.assert_close(mean.unflatten(mean.encode(clips)), codes.mean(1))


def test_moving_a_code_moves_the_activations_by_as_much_at_the_chosen_levels_alone(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=5, levels=(0.5, 1.0))
    here = space.around(clips[:1])
    codes = here.codes
    whole = BottleneckSpace(tiny_generator, num_steps=5)
    assert set(space.called) < set(whole.called)
    assert min(space.called) >= 0.5
    before, calls = [], []
    run = tiny_generator.invert(tiny_generator.encode(clips[:1]), sampler=EDIT, num_steps=5)
    with hooked(tiny_generator.denoiser.middle, lambda h: before.append(h.clone())):
        tiny_generator.sample(run)
    moved = codes + 0.5
    middle = tiny_generator.denoiser.middle
    with hooked(middle, lambda h: calls.append(h.clone())):
        # The space's own hook comes later, so this one sees the activations before they are moved.
        here.decode(moved)
    assert len(calls) == len(before) == len(whole.called)
    torch.testing.assert_close(calls[0], before[0])  # the first call meets the same state
    assert (here.decode(moved) - here.decode(codes)).abs().max() > 1e-4


def test_one_level_can_be_moved_by_itself(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=4, per_level=True)
    here = space.around(clips[:1])
    codes = space.unflatten(here.codes).clone()
    codes[:, 0] += 1  # the level next to the clip
    low = here.decode(codes.flatten(1))
    round_trip = tiny_generator.decode(tiny_generator.encode(clips[:1]))
    assert (low - round_trip).abs().max() > 1e-4


def test_a_space_around_clips_stays_with_them(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=3)
    stays = space.around(clips[:1])
    codes = stays.codes
    space.encode(clips[1:])  # others are encoded and leave no trace
    torch.testing.assert_close(
        stays.decode(codes), tiny_generator.decode(tiny_generator.encode(clips[:1])), atol=2e-4, rtol=0
    )
    with pytest.raises(ValueError, match=r"codes of these clips have shape \(1, 128\), got \(3, 128\)"):
        stays.decode(codes.expand(3, -1))


def test_any_layer_of_any_step_rule(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, layer="enter", num_steps=2, method="midpoint")
    assert space.shape == (4, 16, 2, 2)
    assert space.encode(clips).shape == (3, 256)
    assert space.settings()["layer"] == "enter"


def test_bad_settings_are_told(tiny_generator, clips):
    with pytest.raises(ValueError, match=r"not called at any flow time within levels=\(0.97, 0.98\) on 4 steps"):
        BottleneckSpace(tiny_generator, num_steps=4, levels=(0.97, 0.98))
    with pytest.raises(ValueError, match="no layer 'bottom'"):
        BottleneckSpace(tiny_generator, layer="bottom")
    with pytest.raises(ValueError, match=r"do not say which: use space\.around\(clips\)"):
        BottleneckSpace(tiny_generator, num_steps=3).decode(torch.zeros(1, 128))
    space = BottleneckSpace(tiny_generator, num_steps=3)
    space.encode(clips)
    with pytest.raises(ValueError, match="do not say which"):
        space.decode(torch.zeros(3, 128))
    space = BottleneckSpace(tiny_generator, num_steps=3)
    with pytest.raises(ValueError, match=r"have shape \(3, 128\), got \(3, 7\)"):
        space.around(clips).decode(torch.zeros(3, 7))
