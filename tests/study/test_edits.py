"""Edits of clips by the shipped network: what they reach, what they say, and what they refuse."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
import tiny
import torch

import latentlab as ll
from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.measure import measure
from latentlab.directions import DirectionSet
from latentlab.factors import Factor, FactorTable
from latentlab.generator.config import GeneratorConfig
from latentlab.generator.native import NativeGenerator
from latentlab.study import attempts, edits
from latentlab.study.asked import check_asked, is_shown
from latentlab.study.caption_account import CaptionAccount, caption_account
from latentlab.study.change import Change
from latentlab.study.contract_scenes import WantedScene, two_objects
from latentlab.study.edit_methods import FlowEdit, NetworkEdit
from latentlab.study.edits import network_of
from latentlab.study.named import named
from latentlab.study.sources import find_directions

BASE = {
    "shape": 3, "hue": 10.0, "size": 7.0, "start_x": 31.0, "start_y": 32.0, "direction": 20.0, "speed": 0.5,
    "rotation": 0.0, "background_hue": 120.0, "light": 0.75, "blur": 0.0,
}  # fmt: skip


def clip(**changes) -> torch.Tensor:
    return moving_shapes(1, seed=0, fixed={**BASE, **changes})[0]


@pytest.fixture(scope="module")
def generator():
    return ll.load()


def test_the_star_turns_blue_and_stays_where_it_was(generator):
    edited = ll.edit_clip(generator, clip(), to={"hue": "blue"})
    assert edited.kept
    assert edited.given == "pairs"
    assert abs(measure(edited.video)["hue"][0] - 240) < 15
    said = "\n".join(edited.accounts[0].lines())
    assert said.startswith("target hue to 240: hue ")
    assert "kept: the target is reached" in said
    assert edited.accounts[0].numbers()["kept"]


@pytest.mark.slow
def test_a_batch_has_an_account_a_clip_and_is_kept_only_together(generator):
    edited = ll.edit_clip(generator, torch.cat([clip(), clip(shape=1, hue=200.0)]), by={"light": 0.15})
    assert len(edited.accounts) == 2
    assert edited.kept == all(one.kept for one in edited.accounts)
    alone = ll.edit_clip(generator, clip(), by={"light": 0.15})
    assert (edited.video[:1] - alone.video).abs().max() < 1e-4


def test_a_caption_is_read_for_what_an_edit_can_reach(generator):
    assert [str(c) for c in named("a yellow cross")] == ["shape to cross", "hue to 60"]
    by_words = ll.edit_clip(generator, clip(), caption="a blue star on a green background")
    assert by_words.accounts[0].target == "hue to 240"  # it is a star on green: they have to stay, as all else
    with pytest.raises(ValueError, match="names nothing"):
        ll.edit_clip(generator, clip(), caption="something else")
    with pytest.raises(ValueError, match="one of auto, network, flow, or an edit network, got 'nonsense'"):
        ll.edit_clip(generator, clip(), caption="a blue star", method="nonsense")


@pytest.mark.slow
def test_words_that_a_clip_shows_already_ask_for_nothing(generator):
    """A star on a green ground that moves right, told so again beside its new hue, is edited as by the hue alone."""
    told = ll.edit_clip(generator, clip(), caption="a blue star moving right on a green background")
    hue = ll.edit_clip(generator, clip(), to={"hue": 240})
    assert torch.equal(told.video, hue.video)
    same = ll.edit_clip(generator, clip(), caption="a star on a green background")
    assert torch.equal(same.video, same.unedited)


def test_outside_a_mask_the_clip_comes_back_as_it_was(generator):
    mask = torch.zeros(1, 1, 16, 64, 64)
    mask[..., :32] = 1
    edited = ll.edit_clip(generator, clip(), to={"background": "blue"}, mask=mask)
    assert torch.equal(edited.video[..., 34:], edited.unedited[..., 34:])
    assert edited.leak > 0.5  # the whole ground was to turn
    assert not edited.kept
    assert "background_hue" in edited.accounts[0].failed
    flat = ll.edit_clip(generator, clip(), to={"background": "blue"}, mask=mask[0, 0, 0])
    assert torch.equal(flat.video, edited.video)
    with pytest.raises(ValueError, match=r"64 x 64 pixels and 1 or 16 frames; got shape \(32, 48\)"):
        ll.edit_clip(generator, clip(), to={"background": "blue"}, mask=torch.ones(32, 48))


def test_strength_zero_is_the_clip_and_half_is_between(generator):
    network = network_of(generator)
    latents = generator.encode(clip())
    edit = NetworkEdit(network, Change.of("light", 0.2, "by"))
    assert torch.equal(edit.apply(latents, 0.0), latents)
    light = [measure(generator.decode(edit.apply(latents, s)))["light"][0] for s in (0.0, 0.5, 1.0)]
    assert light[0] < light[1] < light[2]


@pytest.mark.parametrize(
    ("changes", "asked", "said"),
    [
        ({}, {"to": {"light": 3}}, "light 3 is out of its range"),
        ({"size": 9.0}, {"by": {"size": "*1.25"}}, "is out of its range"),
        ({"shape": 0}, {"by": {"rotation": 3}}, "a circle, whose rotation nobody can see"),
        ({}, {"to": {"hue": 10}, "by": {"hue": 20}}, "contradict"),
        ({}, {"to": {"background": 15}}, "vanish"),
        ({"speed": 0.0}, {"by": {"direction": 90}}, "rests"),
        ({}, {}, "got none"),
        ({}, {"to": {"hue": 90}, "caption": "a blue star"}, "got 2"),
        ({}, {"to": {"hue": 90}, "method": "flow"}, "from caption to caption"),
    ],
)
def test_bad_targets_are_answered(generator, changes, asked, said):
    with pytest.raises(ValueError, match=said):
        ll.edit_clip(generator, clip(**changes), **asked)


def test_a_clip_without_an_object_and_a_factor_that_there_is_not(generator):
    with pytest.raises(ValueError, match="no object"):
        ll.edit_clip(generator, torch.full((1, 3, 16, 64, 64), -0.2), to={"hue": 240})
    with pytest.raises(KeyError, match="no factor 'smell'"):
        ll.edit_clip(generator, clip(), to={"smell": 1})


TWO = {
    "shape": 3, "shape.2": 1, "hue": 0.0, "hue.2": 120.0, "background_hue": 240.0, "speed": 0.3, "speed.2": 0.3,
    "start_x": 18.0, "start_y": 30.0, "start_x.2": 44.0, "start_y.2": 36.0, "blur": 0.0,
}  # fmt: skip


def two_shapes(**changes) -> torch.Tensor:
    return moving_shapes(1, seed=0, objects=2, fixed={**TWO, **changes})[0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"to": {"hue.2": 240}}, r"hue\.2 to 240: the clip does not show two objects; ask for hue"),
        ({"to": {"hue": 240}, "at": (80, 20)}, r"at is a place in the frame, 0 to 64 pixels.*got \(80, 20\)"),
        ({"to": {"hue": 240}, "at": 3}, "at is a place, two numbers"),
        ({"to": {"hue.2": 240}, "at": (18, 30)}, r"at=\(18, 30\) says which object is meant; ask for hue of it"),
        ({"direction": "light", "at": (18, 30)}, "a direction is of the whole clip"),
    ],
)
def test_a_second_object_that_there_is_not_and_places_that_are_none(generator, asked, said):
    with pytest.raises(ValueError, match=said):
        ll.edit_clip(generator, clip(), **asked)


def test_a_network_of_single_objects_refuses_two(generator):
    if network_of(generator).config.objects == 1:
        with pytest.raises(ValueError, match="knows clips of one: train one"):
            ll.edit_clip(generator, two_shapes(), to={"hue": 60})


def test_words_do_not_say_which_of_two_is_meant():
    known = [WantedScene.read(two_objects(two_shapes()))]
    wanted = named("a yellow star")
    with pytest.raises(ValueError, match="does not say which is meant: tell it by at"):
        check_asked(wanted, known, None, "a yellow star")
    check_asked(wanted, known, (18, 30), "a yellow star")
    assert [is_shown(one, known[0], (18, 30)) for one in wanted] == [True, False]
    with pytest.raises(ValueError, match="only 0 degrees from the hue of the background"):
        check_asked([Change.of("hue.2", 240)], known, None, None)


def test_the_readers_of_users_say_what_they_read_of_clips_of_another_kind():
    small = tiny.generator()
    video = torch.zeros(1, 3, 4, 16, 16)

    def brightness(video: torch.Tensor) -> FactorTable:
        values = video.mean((1, 2, 3, 4))[:, None].numpy().astype(float)
        return FactorTable(values, (Factor("brightness", "continuous", -1, 1),))

    (said,) = ll.edit_clip(small, video, caption="a blue star", source="a red star", read=brightness).accounts
    assert [one.factor.name for one in said.readings] == ["brightness"]
    assert list(said.numbers()["readings"]) == ["brightness"]
    assert not said.kept
    same = caption_account(video, video, "a blue star", read=brightness)
    assert "brightness reads: the same as before" in "\n".join(same.lines())
    lit = caption_account(video, video + 0.5, "a blue star", read=brightness)
    assert "brightness reads: brightness 0 to 0.5" in lit.lines()
    assert lit.failed == "brightness reads what moved, and nobody knows what of it the caption asks for"


def test_a_model_without_an_edit_network_says_what_to_do():
    small = tiny.generator()
    assert network_of(small) is None
    video = torch.zeros(1, 3, 4, 16, 16)
    with pytest.raises(ValueError, match="latentlab train edits"):
        ll.edit_clip(small, video, to={"hue": 240})
    said = ll.edit_clip(small, video, caption="a blue star", source="a red star")
    assert not said.kept
    assert "no reader" in said.accounts[0].failed or "no nearer" in said.accounts[0].failed


def test_clips_of_another_model_are_not_read_as_moving_shapes_for_being_as_large():
    small = tiny.generator()  # which knows "blue" and "star", and not what moving shapes look like
    small = NativeGenerator(small.autoencoder, small.denoiser, small.clip_model, GeneratorConfig(4, 64, 64))
    (said,) = ll.edit_clip(small, clip()[:, :, :4], caption="a blue star", source="a red star").accounts
    assert isinstance(said, CaptionAccount)
    assert not said.kept


@pytest.mark.slow
def test_directions_are_found_once_and_belong_to_a_space_of_a_model(generator):
    found = find_directions(generator, labelled=24)
    assert isinstance(found, DirectionSet)
    edited = ll.edit_clip(generator, clip(), "light", 1.0, directions=found)
    assert edited.given == "labels"
    assert edited.recipe is not None
    with pytest.raises(ValueError, match="another edit_space"):
        ll.edit_clip(generator, clip(), "light", 1.0, directions=found, space="noise")


class Stopped(FlowEdit):
    """A flow whose velocities are nothing below half of the way."""

    def _velocity(self, y, s, caption, guidance):
        return super()._velocity(y, s, caption, guidance) if s > 0.5 else torch.zeros_like(y)


def test_a_flow_that_ends_early_takes_the_first_steps_and_no_other(generator):
    latents, words = generator.encode(clip()), ("a red star", "a blue star")
    part = FlowEdit(generator, *words, num_steps=2, last=0.49).apply(latents)  # the first two of four steps down to 0
    assert torch.allclose(part, Stopped(generator, *words, num_steps=4).apply(latents), atol=1e-5)
    assert (part - FlowEdit(generator, *words, num_steps=4).apply(latents)).abs().max() > 1e-2
    with pytest.raises(ValueError, match=r"got 0\.99"):
        FlowEdit(generator, *words, last=0.99)


def test_forming_is_down_to_where_the_last_factor_is_decided(generator, monkeypatch):
    monkeypatch.setattr(attempts, "decided", lambda generator: {"hue": 0.9, "shape": 0.4})
    for when, last in (("forming", 0.4), (0.7, 0.7), ("always", 0.0)):
        monkeypatch.setattr(edits, "FlowEdit", stopped := Mock(side_effect=InterruptedError))
        with pytest.raises(InterruptedError):
            ll.edit_clip(generator, clip(), caption="a blue star", source="a red star", method="flow", when=when)
        assert stopped.call_args.kwargs["last"] == last


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"to": {"hue": 240}, "when": "forming"}, "got an edit network and when='forming'"),
        ({"direction": "light", "when": 0.5}, "got space='latent' and when=0.5"),
        ({"direction": "speed", "space": "h-space", "when": "forming"}, "speed is decided is not known .* as when=0.8"),
        ({"direction": "hue@240", "space": "h-space", "when": 1.5}, "a flow time from 0 to below 1; got 1.5"),
        ({"direction": "hue@240", "space": "h-space", "when": "soon"}, "got 'soon'"),
    ],
)
def test_what_cannot_act_on_the_way_is_answered(generator, asked, said):
    with pytest.raises(ValueError, match=said):
        ll.edit_clip(generator, clip(), **asked)


def test_directions_of_other_levels_are_refused(generator):
    found = find_directions(generator, labelled=4)
    found = replace(found, provenance={**found.provenance, "edit_space": "h-space"})
    with pytest.raises(ValueError, match=r"another levels: 1 to 0, and the edit is in 1 to 0\.5"):
        ll.edit_clip(generator, clip(), "light", 1.0, directions=found, space="h-space", when=0.5)
