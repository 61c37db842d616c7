"""Where flicker enters, on the shipped model and on runs whose flicker is known."""

import math

import pytest
import torch

import latentlab
from latentlab.metrics import fields, flicker, latent_flicker
from latentlab.metrics.flow import still
from latentlab.study.flicker_source import COMPONENTS, FlickerSource, flicker_source, steady


@pytest.fixture(scope="module")
def source():
    generator = latentlab.load()
    return flicker_source(generator, generator.noise(2), "a red star", num_steps=4, every=2)


@pytest.fixture(scope="module")
def known() -> FlickerSource:
    """Still clips: at 0.8 frame 3 flashes, at 0.4 a part of frame 6, at the end nothing is added."""
    first = torch.zeros(2, 3, 10, 24, 24)
    first[:, :, 3] += 0.05
    second = first.clone()
    second[:, :, 6, 8:12, 16:20] += 0.5
    decoded = tuple(flicker(clip, flow=still) for clip in (first, second, second))
    return FlickerSource((0.8, 0.4, 0.0), decoded, None, None)


def test_the_levels_fall_to_zero_and_every_figure_has_one(source):
    assert list(source.levels) == sorted(source.levels, reverse=True)
    assert len(source.levels) == 3  # after the first step, after the third, at the end
    assert source.levels[-1] == 0
    for component in COMPONENTS:
        assert source.curve(component).shape == (3, 2)
    assert source.curve(of="latent").isfinite().all()


def test_a_run_shorter_than_a_look_is_still_looked_at():
    generator = latentlab.load()
    assert len(flicker_source(generator, generator.noise(1), num_steps=2, every=50).levels) == 2


def test_the_shares_add_up(known):
    for component in ("overall", "whole", "regional", "texture"):
        torch.testing.assert_close(known.enters(component).sum(0), torch.ones(2))
    assert known.enters("whole")[:, 0].tolist() == pytest.approx([1, 0, 0], abs=1e-3)
    assert known.enters("texture")[:, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-3)


def test_the_worst_is_where_and_when_the_level_adds_it(known):
    for found in known.worst("whole"):
        assert (found["level"], found["frame"]) == (0.8, 3)
        assert "row" not in found
    for found in known.worst("texture"):
        assert (found["level"], found["frame"]) == (0.4, 6)
        assert found["share"] == pytest.approx(1, abs=1e-3)
        assert found["added"] == pytest.approx(float(known.decoded[-1].texture[0]), rel=1e-3)
        assert 8 <= found["row"] < 12
        assert 16 <= found["column"] < 20


def test_no_share_of_flicker_that_is_not_there():
    calm = flicker(torch.zeros(1, 3, 6, 16, 16), flow=still)
    quiet = FlickerSource((0.5, 0.0), (calm, calm), None, None)
    assert quiet.enters().isnan().all()
    assert "%" not in quiet.table()
    (worst,) = quiet.worst()
    assert "share" not in worst
    assert worst["added"] == 0
    assert all(math.isfinite(value) for value in worst.values())


def test_the_table_has_a_line_for_each_level_and_one_for_steadied_latents(source, known):
    lines = source.table().splitlines()
    assert len(lines) == 2 + len(source.levels) + 1
    assert len({line.count("|") for line in lines}) == 1
    assert lines[-1].startswith("| steadied |")
    for line, share in zip(known.table().splitlines()[2:], known.enters()[:, 0].tolist(), strict=True):
        assert line.endswith(f"| {100 * share:.0f} % |")


def test_steadied_latents_keep_an_eighth_of_their_jitter():
    picture = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    jitter = torch.randn(1, 4, 200, 8, 8, generator=torch.Generator().manual_seed(1))
    clips = torch.zeros(1, 3, 200, 16, 16)
    ways = fields(clips, still)
    one = torch.ones(1)
    before = latent_flicker(picture + 0.1 * jitter, clips, flow=ways, scale=one).overall.item()
    after = latent_flicker(steady(picture + 0.1 * jitter, ways), clips, flow=ways, scale=one).overall.item()
    assert before == pytest.approx(10, rel=0.05)
    assert after == pytest.approx(0.135 * before, rel=0.1)
    torch.testing.assert_close(steady(picture.expand(1, 4, 200, 8, 8), ways), picture.expand(1, 4, 200, 8, 8))


def test_bad_names_are_told(source):
    with pytest.raises(ValueError, match="charm"):
        source.curve("charm")
