"""Bradley-Terry with ties and sides, against raters whose strengths are known."""

import numpy as np
import pytest

from latentlab.preference.bradley_terry import fit, next_pairs, next_settings
from latentlab.preference.ratings import ANSWERS, Rating, schedule

ITEMS = ("a", "b", "c", "d", "e")
STRENGTH = np.array([1.2, 0.5, 0.0, -0.5, -1.2])


def raters(
    count: int, *, seed: int = 0, lean: float = 0.0, ties: float = -0.5, strength=STRENGTH, tastes: float = 0.0
) -> list[Rating]:
    """Simulated answers: each rater sees every pair twice; `tastes` is how far raters differ, standard deviation."""
    rng = np.random.default_rng(seed)
    ratings = []
    for rater in range(count):
        own = strength + tastes * np.random.default_rng([seed, rater]).normal(size=len(ITEMS))
        place = dict(zip(ITEMS, own, strict=True))
        for left, right in schedule(ITEMS, rounds=2, seed=seed + rater):
            weights = np.exp([place[left] + lean, place[right], ties + (place[left] + place[right]) / 2])
            ratings.append(Rating(f"r{rater}", left, right, ANSWERS[rng.choice(3, p=weights / weights.sum())]))
    return ratings


def test_known_strengths_are_found():
    found = fit(raters(100, lean=0.4), ITEMS)
    assert found.strength == pytest.approx(STRENGTH, abs=0.15)
    assert found.lean == pytest.approx(0.4, abs=0.15)
    assert found.ties == pytest.approx(-0.5, abs=0.15)
    assert found.ranking == ITEMS


def test_two_items_without_ties_are_odds():
    ratings = [Rating("r", "a", "b", "left")] * 15 + [Rating("r", "b", "a", "right")] * 15
    ratings += [Rating("r", "b", "a", "left")] * 5 + [Rating("r", "a", "b", "right")] * 5
    found = fit(ratings, prior=100.0)
    gap, low, high = found.better("a", "b")
    assert gap == pytest.approx(np.log(3), abs=1e-3)
    # of a log odds ratio: 1 / sqrt(wins) and 1 / sqrt(losses)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(1 / 30 + 1 / 10), rel=0.01)


def test_intervals_cover_as_they_promise():
    inside = []
    for seed in range(40):
        found = fit(raters(5, seed=1000 * seed), ITEMS)
        low, high = found.interval.T
        inside.append((low < STRENGTH) & (high > STRENGTH))
    assert 0.88 <= np.mean(inside) <= 1.0


def test_intervals_are_about_people_where_tastes_differ():
    truth = fit(raters(400, seed=1, tastes=2.0), ITEMS).strength  # of the people that raters are drawn from
    inside, independent = [], []
    for seed in range(25):
        found = fit(raters(8, seed=1000 * seed, tastes=2.0), ITEMS)
        error, half = np.abs(found.strength - truth), np.diff(found.interval)[:, 0] / 2
        inside.append(error < half)
        independent.append(error < half / np.sqrt(found.inflation))
    assert 0.88 <= np.mean(inside) <= 1.0
    assert np.mean(independent) < 0.8


def test_answers_given_twice_say_no_more():
    once = raters(30)
    twice = [rating for rating in once for _ in range(2)]
    one, two = fit(once, prior=100.0), fit(twice, prior=100.0)
    assert two.inflation == pytest.approx(2 * one.inflation, rel=0.3)
    assert np.trace(two.covariance) == pytest.approx(np.trace(one.covariance), rel=0.3)
    assert (one.raters, two.raters) == (30, 30)


def test_one_rater_cannot_tell_about_others():
    found = fit(raters(1), ITEMS)
    assert (found.raters, found.inflation) == (1, 1.0)


def test_a_lean_to_one_side_moves_nobody():
    fair, leaning = fit(raters(60), ITEMS), fit(raters(60, lean=1.5), ITEMS)
    assert leaning.lean > 1.2
    assert leaning.strength == pytest.approx(fair.strength, abs=0.3)


def test_who_always_wins_stays_finite_and_uncertain():
    found = fit([Rating("r", "a", "b", "left"), Rating("r", "c", "b", "left"), Rating("r", "b", "c", "left")] * 4)
    assert np.isfinite(found.strength).all()
    assert found.ranking[0] == "a"
    assert np.diff(found.interval).max() > 2


def test_the_order_of_items_does_not_matter():
    ratings = raters(5)
    one, two = fit(ratings, ITEMS), fit(ratings, ITEMS[::-1])
    assert one.strength == pytest.approx(two.strength[::-1], abs=1e-8)
    assert [row["item"] for row in one.table()] == list(one.ranking)


def test_the_next_pairs_are_those_that_tell_most():
    ratings = [r for r in raters(20) if "e" not in (r.left, r.right)]  # nobody has seen e
    pairs = next_pairs(fit(ratings, ITEMS), 3)
    assert all("e" in pair for pair in pairs[:1])
    assert len(set(pairs)) == 3


def test_after_an_uneven_start_asking_for_the_next_pair_beats_asking_at_random():
    def rounds(choose) -> float:
        errors = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            place = dict(zip(ITEMS, STRENGTH, strict=True))
            ratings = [r for r in raters(4, seed=seed) if "e" not in (r.left, r.right)]
            for _ in range(15):
                left, right = choose(ratings, rng)
                weights = np.exp([place[left], place[right], -0.5 + (place[left] + place[right]) / 2])
                ratings.append(Rating("r", left, right, ANSWERS[rng.choice(3, p=weights / weights.sum())]))
            errors.append(np.trace(fit(ratings, ITEMS).covariance))
        return float(np.mean(errors))

    def told(ratings, rng):
        return next_pairs(fit(ratings, ITEMS))[0]

    def drawn(ratings, rng):
        return tuple(rng.choice(ITEMS, 2, replace=False))

    assert rounds(told) < 0.9 * rounds(drawn)


def test_the_next_setting_lies_near_the_best():
    tried = np.linspace(-2, 2, 5)[:, None]
    peak = -2 * (tried[:, 0] - 0.6) ** 2  # best at 0.6, which nobody has tried
    found = fit(raters(80, strength=peak - peak.mean()), ITEMS)
    candidates = np.linspace(-2, 2, 41)[:, None]
    chosen = next_settings(found, tried, candidates, 2)
    assert chosen.shape == (2, 1)
    assert abs(chosen[0, 0] - 0.6) < 0.5
    assert chosen[0, 0] != chosen[1, 0]


def test_no_setting_is_tried_twice():
    tried = np.linspace(-2, 2, 5)[:, None]
    found = fit(raters(20, strength=-(tried[:, 0] ** 2)), ITEMS)  # the best has been tried
    candidates = np.concatenate([tried, [[0.5], [0.5], [-0.5]]])
    assert sorted(next_settings(found, tried, candidates, 2)[:, 0]) == [-0.5, 0.5]
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"{count} settings cannot be chosen of 2 candidates"):
            next_settings(found, tried, candidates, count)


def test_bad_input_is_told():
    rating = Rating("r", "a", "b", "left")
    with pytest.raises(ValueError, match="needs ratings"):
        fit([])
    with pytest.raises(ValueError, match="prior"):
        fit([rating], prior=0.0)
    with pytest.raises(ValueError, match="not among"):
        fit([rating], ["a", "c"])
    with pytest.raises(KeyError, match="no item zz; there are a, b"):
        fit([rating]).better("a", "zz")
    with pytest.raises(ValueError, match="candidate"):
        next_settings(fit([rating]), np.zeros((3, 1)), np.zeros((4, 1)))
