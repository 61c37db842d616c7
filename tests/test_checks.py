"""Errors of wrong arguments, where the doors' own calls do not reach: several of one name, generators, pairs."""

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from latentlab.checks import Count, WrongKind, clear_errors


def test_each_of_several_arguments_is_held_against_the_annotation():
    @clear_errors
    def total(*parts: Float[Tensor, " n"]) -> Tensor:
        return torch.cat(parts).sum()

    assert total(torch.ones(2), torch.ones(1)) == 3
    with pytest.raises(WrongKind, match=r"`parts`.* got 'a'"):
        total(torch.ones(2), "a")  # pyright: ignore[reportArgumentType]
    with pytest.raises(WrongKind, match=r"`parts`.*\(2, 2\)"):
        total(torch.ones(2), torch.ones(2, 2))


def test_a_generator_speaks_when_it_is_asked():
    @clear_errors
    def countdown(count: Count):
        yield from range(count - 1, -1, -1)
        raise KeyError("the end")  # of the library's making, if this were the library

    assert next(countdown(2)) == 1
    with pytest.raises(WrongKind, match=r"`count`.*'2'"):
        next(countdown("2"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(KeyError, match="the end"):
        list(countdown(2))


def test_one_array_is_no_pair_of_two_kinds():
    @clear_errors
    def lengths(lot: tuple[Float[Tensor, "row 2"], Int[Tensor, " row"]]) -> int:
        return lot[0].shape[1] + int(lot[1].sum())

    assert lengths((torch.ones(1, 2), torch.ones(1, dtype=torch.int64))) == 3
    with pytest.raises(WrongKind, match="`lot`"):
        lengths(np.array(["a", "b"]))  # pyright: ignore[reportArgumentType]
