"""The scoreboard's page: what it says of the bars, and the order of its rows."""

from dataclasses import replace

import numpy as np
import pytest

from latentlab.scoreboard import Cell, CellResult, DirectionScore, SideEffects, scoreboard_page
from latentlab.scoreboard.aggregate import grouped, mean_over_targets
from latentlab.scoreboard.page import failures, fallen_short, side_effect_tables, summary_section, table_row
from latentlab.scoreboard.summary import summarise
from latentlab.scoreboard.worlds import CONTINUOUS, JUDGED


def result(
    finder: str, precision: dict[str, float], *, seed: int = 0, labels: int = 1000, shuffled: bool = False
) -> CellResult:
    """A cell whose directions have these precisions, the rest of what moves being light."""
    scores = []
    for name in CONTINUOUS:
        share = precision.get(name, precision["else"])
        effect = [0.0] * len(JUDGED)
        effect[JUDGED.index("light" if name != "light" else "size")] = 1 / share - 1
        effect[JUDGED.index(name)] = 1.0
        leakage = (1 / share - 1) / (len(JUDGED) - 1)
        scores.append(
            DirectionScore(
                name, 1.0, True, False, 0.0, tuple(effect), (1.0,) * len(JUDGED), share, leakage, 1.0, 1.0, 1.0, -2.0,
                2.0, np.nan,
            )
        )  # fmt: skip
    cell = Cell("latent", finder, labels, "independent", shuffled, seed)
    return CellResult(cell, JUDGED, tuple(scores), (), 1.0, 10, 30)


def changed(found: CellResult, place: int, **figures) -> CellResult:
    """The same with other figures of one direction."""
    scores = list(found.scores)
    scores[place] = replace(scores[place], **figures)
    return replace(found, scores=tuple(scores))


RESULTS = [
    result("effect", {"else": 0.9, "size": 0.5}),
    result("effect", {"else": 0.9, "size": 0.5}, seed=1),
    result("ridge normal", {"else": 0.6}),
    result("LDA", {"else": 0.3}),
    result("effect", {"else": 0.1}, shuffled=True),
]


def test_the_summary_names_the_best_baseline_and_the_factors_that_part():
    said, mean = summarise(RESULTS), (0.9 * (len(CONTINUOUS) - 1) + 0.5) / len(CONTINUOUS)
    assert f"precision of Effect {mean:.2f} (bar 0.8), {mean / 0.6:.2f} times that of the best baseline, ridge" in said
    assert "In some space start_x, start_y, speed, rotation and light separate. In none size" in said


def test_each_factor_stands_where_it_parts_best_with_what_moves_beside_it():
    bars, factors = summary_section(RESULTS).parts
    assert [row[0] for row in bars.rows] == ["latent"]
    rows = {row[0]: row[1:] for row in factors.rows}
    assert list(rows)[-1] == "size"  # the most precise come first
    assert rows["size"] == ["latent", "ridge normal", 0.6, 1.0, "light 0.67", "follows as far as one standard "
                            "deviation; light is bound up with it"]  # fmt: skip
    assert rows["light"][1:3] == ["effect", pytest.approx(0.9)]
    assert rows["light"][-1] == "separates"
    assert summary_section([]) is None


@pytest.mark.parametrize(
    ("monotone", "moved", "why"),
    [
        (0.1, 1.0, "does not follow the strength (rank correlation 0.10)"),
        (1.0, 0.7, "follows, but the largest strength moves it by no more than 0.70"),
    ],
)
def test_why_a_factor_does_not_part_is_read_off_its_figures(monotone, moved, why):
    cell = result("effect", {"else": 0.5})
    first = cell.scores[0]
    effect = tuple(moved if name == first.name else value for name, value in zip(JUDGED, first.effect, strict=True))
    (factors,) = summary_section([changed(cell, 0, monotonicity=monotone, effect=effect)]).parts
    assert why in next(one for one in factors.rows if one[0] == first.name)[-1]


def test_a_precise_move_that_hardly_is_one_gives_way_to_a_real_one():
    still, real = result("ridge normal", {"else": 0.99}), result("LDA", {"else": 0.5})
    for i, score in enumerate(still.scores):
        still = changed(still, i, effect=tuple(0.1 * value for value in score.effect))
    assert {row[2] for row in summary_section([still, real]).parts[0].rows} == {"LDA"}


def test_seeds_are_one_row_and_shuffled_labels_another():
    rows = [table_row(group) for group in grouped(RESULTS)]
    assert [row[0] for row in rows] == ["effect", "ridge normal", "LDA", "effect, shuffled"]
    assert rows[0][-4] == 2


def test_a_direction_that_failed_counts_against_its_finder_in_every_figure():
    nothing, count = result("effect", {"else": 0.5}), len(CONTINUOUS)
    leak, none = nothing.scores[1].leakage, (np.nan,) * len(JUDGED)
    lost = {"precision": 0.0, "leakage": np.nan, "failed": True, "unread": 1.0, "effect": none, "strength": 2.0}
    nothing = changed(nothing, 0, **lost, why="light can be read in no clip any more")
    assert mean_over_targets(nothing, "precision") == pytest.approx(0.5 * (1 - 1 / count))
    assert mean_over_targets(nothing, "leakage") == pytest.approx((1 + leak * (count - 1)) / count)
    assert mean_over_targets(nothing, "target") == pytest.approx(1 - 1 / count)
    assert mean_over_targets(nothing, "failed") == mean_over_targets(nothing, "unread") == pytest.approx(1 / count)
    assert np.isnan(mean_over_targets(nothing, "kept"))
    section = scoreboard_page([nothing, result("LDA", {"else": 0.3})], {}, "{}").sections[1]  # drawn all the same
    assert any(part == table for part in section.parts for table in fallen_short(grouped([nothing])))


def test_a_direction_that_falls_short_says_why_and_how_far_it_was_tried():
    cells = [result("effect", {"else": 0.5}, seed=seed) for seed in (0, 1)]
    assert fallen_short(grouped(cells)) == []
    cells[1] = changed(cells[1], 2, why="the target moves by 0.40 sd at most, not by one", strength=4.0)
    (table,) = fallen_short(grouped(cells))
    assert table.rows == [
        ["effect, 1,000 labels", CONTINUOUS[2], "1 of 2", "4", "the target moves by 0.40 sd at most, not by one"]
    ]


def test_what_failed_is_on_the_page_with_its_reason():
    broken = [CellResult(Cell("latent", "LDA", 10, seed=seed), failed="ValueError: too few") for seed in (0, 1)]
    everything = [*RESULTS, *broken, CellResult(Cell("latent", "SeFa", seed=None), failed="no layers")]
    assert failures(everything) == [
        ["latent", "LDA", "10", "0, 1", "ValueError: too few"],
        ["latent", "SeFa", "0", "all", "no layers"],
    ]
    last = scoreboard_page(everything, {}, "{}").sections[-1]
    assert last.title == "Not measured"
    assert summarise(everything) == summarise(RESULTS)


def test_side_effects_are_those_of_every_finder_by_the_names_of_targets():
    def beside(cell: CellResult) -> CellResult:
        seen = SideEffects(20.0, 0.1, 0.0, np.nan, 0.25, 30.0 + cell.cell.seed)
        return replace(cell, beside=(seen,) * len(cell.scores))

    cells = [beside(result(finder, {"else": 0.5}, seed=seed, labels=0)) for finder in ("PCA", "ICA") for seed in (0, 1)]
    cells[1] = replace(cells[1], scores=cells[1].scores[::-1])  # each seed has its own order
    (table,) = side_effect_tables(cells)
    assert [row[0] for row in table.rows] == ["PCA", "ICA"]
    assert table.rows[0][2].startswith("0.25")
    assert table.rows[0][3].startswith("20")
    assert table.rows[0][-1].startswith("30")
    assert mean_over_targets(cells[0], "kept") == 0.25
    assert side_effect_tables(RESULTS) == []


def test_the_page_puts_the_most_precise_first_and_draws_every_matrix():
    report = scoreboard_page(RESULTS, {}, "{}")
    section = report.sections[1]
    first = section.parts[0]
    assert [row[0] for row in first.rows] == ["effect", "ridge normal", "LDA", "effect, shuffled"]
    figures = [part for part in section.parts if part.kind == "figure"]
    named = ["effect", "ridge normal", "LDA", "effect, labels shuffled"]
    assert [figure.caption.split(":")[0] for figure in figures] == [f"{name}, 1,000 labels" for name in named]
    assert all("currentColor" in figure.inline for figure in figures)  # they follow the page into the dark
