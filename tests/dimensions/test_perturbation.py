"""Dims of a space whose every dim does one known thing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.data.moving.measure import measure
from latentlab.dimensions.perturbation import differences, perturb
from latentlab.factors import Factor, FactorTable
from latentlab.study.attributes import appearance, likeness


class Known:
    """Codes (light, spot, drift, nothing): light everywhere, a spot in a corner, light that grows with time."""

    def encode(self, video):
        return torch.randn(len(video), 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 1.0, 1])

    def decode(self, codes):
        light, spot, drift = (codes[:, i, None, None, None, None] for i in range(3))
        video = torch.zeros(len(codes), 3, 5, 16, 16) + 0.1 * light
        video[..., :4, :4] += 0.05 * spot
        time = torch.linspace(-1, 1, 5)[:, None, None]
        return video + 0.1 * drift * time


@pytest.fixture(scope="module")
def found():
    return perturb(Known(), torch.zeros(8, 3, 5, 16, 16), scale=[1.0, 2.0, 1.0, 1.0])


def test_every_dim_is_what_it_is(found):
    assert found.units == ("0", "1", "2", "3")
    assert found.acts == ["global", "local", "motion", "nothing"]


def test_maps_and_profiles_are_in_levels(found):
    np.testing.assert_allclose(found.map[0], 12.75, rtol=1e-4)
    np.testing.assert_allclose(found.map[1, :4, :4], 12.75, rtol=1e-4)  # 0.05 times two standard deviations
    assert found.map[1, 4:].max() < 1e-4
    np.testing.assert_allclose(found.profile[2], 12.75 * np.abs(np.linspace(-1, 1, 5)), atol=1e-3)
    np.testing.assert_allclose(found.extent, [1, 1 / 16, 1, 0], atol=1e-3)
    np.testing.assert_allclose(found.moving, [0, 0, 1, 0], atol=1e-3)


def test_changes_of_attributes_follow_the_strength(found):
    brightness = found.change[0, :, :, found.attributes.index("brightness")]
    expected = 0.05 * np.array(found.strengths)[:, None]
    np.testing.assert_allclose(brightness, np.broadcast_to(expected, brightness.shape), atol=1e-5)
    assert np.nanargmax(found.effect[:, found.attributes.index("brightness")]) == 0
    assert np.nanmax(np.abs(np.nan_to_num(found.effect[3]))) == 0


def test_effect_and_slope_agree_where_the_effect_is_linear(found):
    at = found.attributes.index("brightness")
    assert found.slope[0, at] == pytest.approx(found.effect[0, at], rel=1e-4)
    assert found.slope[0, at] * found.spread[at] == pytest.approx(0.05, rel=1e-4)
    assert abs(found.slope[2, at]) < 1e-3


def test_groups_move_together():
    both = perturb(Known(), torch.zeros(4, 3, 5, 16, 16), {"light and spot": [0, 1]}, scale=[1.0, 2.0, 1.0, 1.0])
    assert both.units == ("light and spot",)
    np.testing.assert_allclose(both.map[0, 0, 0], 25.5, rtol=1e-4)
    np.testing.assert_allclose(both.map[0, 8, 8], 12.75, rtol=1e-4)


def test_codes_will_do_for_clips(found):
    codes = Known().encode(torch.zeros(8, 3, 5, 16, 16))
    np.testing.assert_array_equal(perturb(Known(), codes, scale=[1.0, 2.0, 1.0, 1.0]).change, found.change)


def test_batches_do_not_matter(found):
    again = perturb(Known(), torch.zeros(8, 3, 5, 16, 16), scale=[1.0, 2.0, 1.0, 1.0], batch=3)
    np.testing.assert_allclose(again.change, found.change, atol=1e-6)


def test_measures_may_fail_and_may_be_angles_or_categories():
    specs = (Factor("angle", "circular", 0, 360), Factor("kind", "categorical", 0, 1), Factor("none", "ordinal", 0, 1))

    def own(video):
        light = video[:, 0, 0, 8, 8].double().numpy()
        return FactorTable(np.stack([light * 3600 % 360, (light > 0) * 1.0, light * np.nan], 1), specs)

    found = perturb(Known(), torch.zeros(6, 3, 5, 16, 16), [0], (0.1, -0.1), measures=(own, appearance))
    assert found.attributes[:3] == ("angle", "kind", "none")
    assert np.abs(found.change[..., 0]).max() <= 180
    np.testing.assert_allclose(np.abs(found.change[0, 0, :, 0]), 36 * float(Known().encode(range(6))[:, 0].std()), 1e-3)
    assert set(np.unique(found.change[..., 1])) <= {0.0, 1.0}
    assert np.isnan(found.effect[0, 2])
    assert "angle" in found.table()


def test_differences_go_the_short_way_round():
    after, before = np.array([[10.0, 1.0, 2.0, np.nan]]), np.array([[350.0, 2.0, 5.0, 1.0]])
    kinds = ("circular", "categorical", "continuous", "categorical")
    np.testing.assert_array_equal(differences(after, before, kinds), [[20.0, 1.0, -3.0, np.nan]])


def test_the_table_has_a_line_for_each_unit(found):
    lines = found.table().splitlines()
    assert len(lines) == 2 + 4
    assert "brightness +" in lines[2]
    assert [row["unit"] for row in found.rows()] == list(found.units)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dims": [4]}, "0 to 3"),
        ({"dims": []}, "no dims"),
        ({"dims": {"a": []}}, "'a'"),
        ({"strengths": (0.0, 1.0)}, "not 0"),
        ({"strengths": ()}, "not 0"),
        ({"strengths": (float("nan"),)}, "finite"),
        ({"scale": [1.0, 1.0]}, "each of 4 dims"),
        ({"scale": [1.0, -1.0, 1.0, 1.0]}, "standard deviation"),
        ({"measures": ()}, "measure"),
    ],
)
def test_bad_settings_are_told(arguments, said):
    with pytest.raises(ValueError, match=said):
        perturb(Known(), torch.zeros(3, 3, 5, 16, 16), **arguments)


def test_one_clip_needs_a_scale():
    with pytest.raises(ValueError, match="scale="):
        perturb(Known(), torch.zeros(1, 3, 5, 16, 16))
    assert perturb(Known(), torch.zeros(1, 3, 5, 16, 16), scale=[1.0] * 4).acts[0] == "global"


def test_activations_of_a_pipeline_are_moved_beyond_one_batch(tmp_path):
    """Codes of h-space say how to move clips, all at once."""
    pytest.importorskip("diffusers")
    from generator.pipelines.pipelines import condition, wan

    import latentlab
    from latentlab.spaces import BottleneckSpace

    tiny = wan()
    tiny.pipe.save_pretrained(tmp_path)
    generator = latentlab.load(tmp_path, device="cpu")
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    space = BottleneckSpace(generator, caption=condition(tiny, generator), num_steps=2, method="ddim")
    video = torch.rand(2, 3, *tiny.video, generator=torch.Generator().manual_seed(3)) * 2 - 1
    dims = {"first half": range(space.dim // 2), "second half": range(space.dim // 2, space.dim)}
    found = perturb(space, video, dims, (1.0,), scale=torch.full((space.dim,), 0.5), batch=1)
    assert found.change.shape == (2, 1, 2, 8)
    assert np.isfinite(found.map).all()
    assert found.map.max() > 0


def test_wide_codes_ask_for_groups(tiny_generator, clips):
    from latentlab.spaces import LatentSpace

    space = LatentSpace(tiny_generator)
    channels = {f"channel {c}": range(c * 16, c * 16 + 16) for c in range(2)}
    found = perturb(space, clips, channels, (1.0,))
    assert found.change.shape == (2, 1, 3, 8)
    assert (found.level > 0).all()

    class Wide(Known):
        def encode(self, video):
            return torch.zeros(len(video), 65)

    with pytest.raises(ValueError, match="groups"):
        perturb(Wide(), clips)


def test_appearance_of_known_pictures():
    video = -torch.ones(3, 3, 2, 16, 16)
    video[0, :, :, 4:8, 10:12] = 1.0
    video[1, 0] = 1.0  # red
    video[2, :, 1] = 1.0  # black, then white
    found = appearance(video)
    assert found["place_x"][0] == pytest.approx(11 / 16)
    assert found["place_y"][0] == pytest.approx(6 / 16)
    assert np.isnan(found["place_x"][1:]).all()
    np.testing.assert_allclose(found["brightness"], [8 / 256, 0.2126, 0.5], atol=1e-6)
    np.testing.assert_allclose(found["red_green"], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found["yellow_blue"], [0, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(found["motion"], [0, 0, 1], atol=1e-6)
    share = 8 / 256
    assert found["contrast"][0] == pytest.approx(np.sqrt(share * (1 - share)))
    assert found["sharpness"][0] > found["sharpness"][1] == 0
    with pytest.raises(ValueError, match="finite"):
        appearance(video * torch.nan)


def test_likeness_has_a_column_for_each_caption():
    table = likeness(lambda video, captions: torch.ones(len(video), len(captions)), ["a star"])(
        torch.zeros(2, 3, 1, 8, 8)
    )
    assert table.names == ("like 'a star'",)
    assert table.values.tolist() == [[1.0], [1.0]]


def test_moving_shapes_are_measured_too():
    from latentlab.data.moving.dataset import moving_shapes

    video, factors = moving_shapes(4, seed=0)

    class Light:
        def encode(self, clips):
            return torch.from_numpy(factors["light"]).float()[:, None]

        def decode(self, codes):
            shift = codes / torch.from_numpy(factors["light"]).float()[:, None]
            return ((video + 1) / 2 * shift[..., None, None, None]) * 2 - 1

    found = perturb(Light(), video, strengths=(-0.1, 0.1), measures=(measure,))
    assert found.attributes[int(np.nanargmax(found.effect[0]))] == "light"
    step = 0.1 * float(factors["light"].std(ddof=1))
    np.testing.assert_allclose(np.abs(found.change[0, :, :, found.attributes.index("light")]), step, rtol=0.05)


def test_one_strength_one_measure_masks_and_numpy_codes():
    codes = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
    found = perturb(Known(), codes, dims=np.array([False, True, False, True]), strengths=1, measures=appearance)
    assert found.units == ("1", "3")
    assert found.strengths == (1.0,)
    assert perturb(Known(), codes, dims=[0], strengths=np.array([1.0, 2.0])).strengths == (1.0, 2.0)


@pytest.mark.parametrize(
    ("codes", "dims", "match"),
    [
        (torch.zeros(0, 4), [0], "no clips to start from"),
        (torch.full((3, 4), torch.nan), [0], "12 values that are NaN"),
        (torch.randn(3, 4), [0.5], "whole numbers, or a mask of all 4"),
    ],
)
def test_starts_and_dims_that_cannot_be(codes, dims, match):
    with pytest.raises(ValueError, match=match):
        perturb(Known(), codes, dims)
