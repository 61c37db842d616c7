"""Where flicker enters, on the shipped model and on one that is made to flicker."""

import pytest
import torch

import latentlab
from latentlab.study.flicker_source import flicker_source


@pytest.fixture(scope="module")
def source():
    generator = latentlab.load()
    return flicker_source(generator, generator.noise(2), "a red star", num_steps=4, every=2)


def test_the_levels_fall_to_zero_and_every_figure_has_one(source):
    assert list(source.levels) == sorted(source.levels, reverse=True)
    assert source.levels[-1] == 0
    assert source.curve("texture").shape == (len(source.levels), 2)
    assert source.curve(of="latent").isfinite().all()


def test_the_shares_add_up(source):
    assert torch.allclose(source.enters("regional").sum(0), torch.ones(2), atol=1e-4)


def test_the_worst_place_is_in_the_picture(source):
    for found in source.worst():
        assert 1 <= found["frame"] <= 14
        assert 0 <= found["row"] < 64
        assert found["level"] in source.levels


def test_the_table_has_a_line_for_each_level(source):
    assert len(source.table().splitlines()) == 2 + len(source.levels)


def test_bad_names_are_told(source):
    with pytest.raises(ValueError, match="charm"):
        source.curve("charm")
