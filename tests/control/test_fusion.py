"""Several conditions at once, on tiny networks: what each rule leaves of them, whatever their order."""

import itertools

import pytest
import tiny
import torch

from latentlab.control import Fusion, Given, Reference, Shaped, conflicts
from latentlab.control.fusion import FusedPart, added, by_level, by_mask, by_priority
from latentlab.control.shaped import two_means
from latentlab.generator.guides import Descent, Guide
from latentlab.generator.sampler import Sampler

STEPS = Sampler("ddim", 2, guidance=None)


def half(value: float = 1.0, side: int = 16) -> torch.Tensor:
    mask = torch.zeros(1, 1, 1, side, side)
    mask[..., : side // 2] = value
    return mask


def image(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def draw(generator, *given, rule="sum", **options):
    return generator.guided(Fusion(given, rule=rule)).sample(generator.noise(1), "", sampler=STEPS, **options)


@pytest.mark.parametrize("rule", ["sum", "priority", "by_level", "by_mask"])
def test_the_order_changes_nothing(generator, rule):
    given = [
        Given("red"),
        Given(half().expand(1, 1, 4, 16, 16), weight=0.8, levels=(1, 0.5)),
        Given(image(), weight=0.5, region=half()),
        Given("a star", weight=0.5),
    ]
    orders = list(itertools.permutations(given))[::7]
    found = [generator.guided(Fusion(order, rule=rule)) for order in orders]
    assert len({one.fingerprint() for one in found}) == 1
    noise = generator.noise(1)
    clips = [one.sample(noise, "", sampler=STEPS) for one in found]
    assert all(torch.equal(clips[0], clip) for clip in clips)
    assert not torch.equal(clips[0], generator.sample(noise, "", sampler=STEPS))


def test_one_caption_of_weight_1_is_that_caption(generator):
    alone = generator.sample(generator.noise(1), "a red star", sampler=STEPS)
    torch.testing.assert_close(draw(generator, Given("a red star")), alone, atol=1e-5, rtol=1e-5)


def test_nothing_of_weight_0_or_beyond_its_levels_acts(generator):
    base = generator.sample(generator.noise(1), "", sampler=STEPS)
    assert torch.equal(draw(generator, Given("red", weight=0.0)), base)
    assert torch.equal(draw(generator, Given("red", levels=(0.0, 0.0))), base)
    assert not torch.equal(draw(generator, Given("red", levels=(1, 0.9))), base)


def test_a_region_limits_the_velocity(generator):
    y, s = generator.noise(1), 0.7
    base = generator.velocity(generator.condition(""), 1.0)(y, s)
    guided = generator.guided(Fusion([Given("a red star", region=half())]))
    change = guided.velocity(generator.condition(""), 1.0)(y, s) - base
    assert change[..., 0].abs().max() > 1e-4
    assert change[..., 1].abs().max() == 0


def part(weight=1.0, low=0.0, high=1.0) -> FusedPart:
    return FusedPart("", Descent(torch.sum, 1.0), weight, low, high, None)


def vectors(*rows):
    return [torch.tensor(row).view(1, 1, 1, 1, -1) for row in rows]


def test_rules_in_closed_form():
    d = vectors([2.0, 0.0], [-1.0, 1.0])
    parts, none = [part(2.0), part(1.0)], [None, None]
    assert [x.flatten().tolist() for x in added(d, parts, none, 0.5)] == [[2, 0], [-1, 1]]
    assert [x.flatten().tolist() for x in by_priority(d, parts, none, 0.5)] == [[2, 0], [0, 1]]
    assert [x.flatten().tolist() for x in by_priority(d, [part(), part()], none, 0.5)] == [[2, 0], [-1, 1]]
    agree = vectors([2.0, 0.0], [1.0, 1.0])
    assert [x.flatten().tolist() for x in by_priority(agree, parts, none, 0.5)] == [[2, 0], [1, 1]]
    early, late = part(high=1.0, low=0.6), part(high=1.0, low=0.0)
    assert [x.flatten().tolist() for x in by_level(d, [early, late], none, 0.9)] == [[2, 0], [0, 0]]
    assert [x.flatten().tolist() for x in by_level(d, [late, late], none, 0.9)] == [[2, 0], [-1, 1]]
    (small,) = vectors([1.0, 0.0])
    assert [x.flatten().tolist() for x in by_mask(d, parts, [None, small], 0.5)] == [[0, 0], [-1, 1]]


def test_what_is_kept_of_the_first_under_priority_is_all_of_it():
    """Nothing of lower weight takes from the first: the change along it is at least its own length."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        d = [torch.randn(1, 2, 1, 2, 2, generator=rng) for _ in range(3)]
        whole = torch.stack(by_priority(d, [part(3.0), part(2.0), part(1.0)], [None] * 3, 0.5)).sum(0)
        assert (whole * d[0]).sum() >= d[0].square().sum() * (1 - 1e-5)


def test_two_means_are_the_least_squares_of_two_regions():
    x, share = (
        torch.randn(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0)),
        half(side=4).expand(1, 1, 3, 4, 4),
    )
    inside, outside = x[..., :2], x[..., 2:]
    want = torch.cat(
        [inside.mean((3, 4), keepdim=True).expand_as(inside), outside.mean((3, 4), keepdim=True).expand_as(outside)], 4
    )
    torch.testing.assert_close(two_means(x, share), want)


def test_a_mask_makes_the_clip_flatter_in_two(generator):
    def apart(latents):
        share = generator.guided(Shaped(half())).guides[0].share
        return float((latents - two_means(latents, share)).square().mean())

    noise = generator.noise(1)
    shaped = generator.guided(Shaped(half())).sample(noise, "a star", sampler=STEPS)
    assert apart(shaped) < 0.5 * apart(generator.sample(noise, "a star", sampler=STEPS))


def test_a_reference_is_looked_at_by_its_weight(generator):
    noise = generator.noise(2)
    base = generator.sample(noise, "a star", sampler=STEPS)
    moved = [
        (generator.guided(Reference(image(), weight=w)).sample(noise, "a star", sampler=STEPS) - base).abs().mean()
        for w in (0.0, 1e-4, 1.0)
    ]
    assert moved[0] == 0
    assert moved[1] < 0.1 * moved[2]
    other = generator.guided(Reference(image(1))).sample(noise, "a star", sampler=STEPS)
    assert not torch.equal(other, generator.guided(Reference(image())).sample(noise, "a star", sampler=STEPS))


def test_several_references_each_have_a_weight_and_no_order(generator):
    noise = generator.noise(2)

    def drawn(*given):
        return generator.guided(Reference(*given)).sample(noise, "a star", sampler=STEPS)

    both = drawn((image(), image(1)), (1.0, 0.5))
    assert torch.equal(both, drawn((image(1), image()), (0.5, 1.0)))
    assert torch.equal(drawn((image(), image(1)), (1.0, 0.0)), drawn(image()))
    assert torch.equal(drawn((image(), image(1)), 0.0), generator.sample(noise, "a star", sampler=STEPS))
    assert not torch.equal(both, drawn((image(), image(1)), (0.5, 1.0)))
    torch.testing.assert_close(drawn((image(), image()), 0.5), drawn(image(), 1.0), atol=1e-4, rtol=1e-4)
    for given in (((image(), image(1)), (1.0,)), ((), 1.0)):
        with pytest.raises(ValueError, match=r"2 images have one weight.*got 1|at least, got none"):
            Reference(*given)


def test_a_second_guide_of_a_reference_is_told_to_be_one_with_the_first(generator):
    both = generator.guided(Reference(image()), Reference(image(1), weight=0.5))
    with pytest.raises(ValueError, match=r"one guide: Reference\(\(a, b\), \(1.0, 0.5\)\)"):
        both.sample(generator.noise(1), "", sampler=STEPS)


def test_what_is_inverted_under_a_fusion_comes_back(generator):
    guided = generator.guided(Fusion([Given("red"), Given(half(), weight=0.5), Given(image(), weight=0.5)]))
    latents = generator.encode(image().expand(-1, -1, 4, -1, -1))
    inverted = guided.invert(latents, "", method="leapfrog", num_steps=3)
    assert torch.equal(guided.sample(inverted), latents)


def test_conflicts_name_the_pair_the_levels_and_the_winner(generator):
    class Towards(Guide):
        def __init__(self, way):
            self.way = way

        def __call__(self, velocity, condition):
            return lambda y, s: velocity(y, s) + self.way

        def settings(self):
            return {"guide": "towards", "way": self.way}

    given = [Given(Towards(1.0), weight=2.0, name="up"), Given(Towards(-1.0), name="down"), Given("red", levels=(0, 0))]
    report = conflicts(generator, Fusion(given), sampler=STEPS)
    assert {(row.first, row.second) for row in report.rows} == {("down", "up")}
    assert all(row.cosine == pytest.approx(-1) and row.winner == "up" for row in report.rows)
    assert all(row.lost == pytest.approx(2 / 3) for row in report.rows)
    assert report.rows[0].where.mean() == 1
    assert "down and up" in " ".join(report.lines())
    assert not conflicts(generator, Fusion([Given("red")]), sampler=STEPS).rows
    solved = conflicts(generator, Fusion(given, rule="priority"), sampler=STEPS)
    assert all(row.winner == "up" for row in solved.rows)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Fusion([]), "none"),
        (lambda: Fusion([Given("red")], rule="loudest"), "loudest"),
        (lambda: Given("red", weight=float("nan")), "nan"),
        (lambda: Given("red", levels=(1.5, 0)), "1.5"),
        (lambda: Given("red", region=torch.ones(4, 4)), "4, 4"),
        (lambda: Given(torch.ones(1, 2, 1, 16, 16)), "2, 1, 16"),
        (lambda: Reference(image(), weight=-1), "-1"),
        (lambda: Shaped(torch.full((1, 1, 1, 4, 4), torch.nan)), "nan"),
        (lambda: tiny.generator().guided(Fusion([Given("an elephant")])), "elephant"),
    ],
)
def test_bad_input_is_answered(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.slow
def test_on_a_pipeline_of_images():
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from generator.pipelines.whole import stable_diffusion

    from latentlab.generator.load import load

    generator = load(stable_diffusion().pipe, height=64, width=64)
    picture = torch.rand(1, 3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    left = half(side=64)
    given = [Given("a car"), Given(left, weight=0.8, levels=(1, 0.5)), Given(picture, weight=0.5, region=left)]
    noise = generator.noise(1)
    there, back = (
        generator.guided(Fusion(order, rule="priority")).sample(noise, "", sampler=STEPS)
        for order in (given, given[::-1])
    )
    assert torch.equal(there, back)
    alone = generator.guided(Fusion(given[:2])).sample(noise, "", sampler=STEPS)
    with_image = generator.guided(Fusion(given)).sample(noise, "", sampler=STEPS)
    assert (with_image - alone).abs().max() > 1e-4  # the reference is heard
