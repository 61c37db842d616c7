"""The caption that fits best, where the error under each is known."""

import pytest
import tiny
import torch

from latentlab.control import nearest_caption


def test_a_field_of_known_error_is_ranked_by_it(monkeypatch):
    generator = tiny.generator()
    clean = generator.encode(torch.zeros(1, 3, 4, 16, 16))
    off = {"red": 0.5, "star": 0.0, "left": 2.0}
    numbers = {tuple(generator.condition(word).tokens.flatten().tolist()): value for word, value in off.items()}

    def velocity(condition, guidance=1.0):
        error = numbers[tuple(condition.tokens.flatten().tolist())]
        return lambda y, s: (y - clean) / s + error  # noise - clean, and an error of the caption's own

    monkeypatch.setattr(generator, "velocity", velocity)
    found, behind = nearest_caption(generator, torch.zeros(1, 3, 1, 16, 16), list(off), levels=(0.9, 0.3), draws=2)
    assert found == "star"
    errors = torch.tensor([0.25, 0.0, 4.0])
    torch.testing.assert_close(behind, (errors - errors.min()) / errors.std(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("count", "captions"), [(2, ["red"]), (1, [])])
def test_bad_input_is_answered(count, captions):
    with pytest.raises(ValueError, match=f"{count} clips and {len(captions)}"):
        nearest_caption(tiny.generator(), torch.zeros(count, 3, 1, 16, 16), captions)
