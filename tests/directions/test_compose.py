"""Sets of directions: composed, matched, kept on disk."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from latentlab.directions import (
    PCA,
    DirectionSet,
    Effect,
    RidgeNormal,
    add,
    load_directions,
    match,
    orthogonalise,
    project_out,
    save_directions,
    stability,
)
from latentlab.factors import Factor, FactorTable


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    values = np.stack([rng.standard_normal(300), rng.standard_normal(300), rng.uniform(0, 360, 300)], 1)
    columns = np.column_stack([values[:, :2], np.cos(np.deg2rad(values[:, 2])), np.sin(np.deg2rad(values[:, 2]))])
    codes = columns @ rng.standard_normal((4, 9)) + 0.3 * rng.standard_normal((300, 9))
    specs = (
        Factor("light", "continuous", -4, 4),
        Factor("size", "continuous", -4, 4),
        Factor("hue", "circular", 0, 360),
    )
    return codes, FactorTable(values, specs)


@pytest.fixture(scope="module")
def found(data):
    return Effect().fit(*data).found_


def scales_are_true(directions: DirectionSet, codes: np.ndarray) -> None:
    for direction in directions:
        assert np.linalg.norm(direction.vector) == pytest.approx(1)
        assert direction.scale == pytest.approx((codes @ direction.vector).std())


def test_a_fitted_finder_is_taken_wherever_a_set_is(data, tmp_path):
    finder = Effect(folds=0).fit(*data)
    assert len(finder) == len(finder.found_) == 4
    assert "light" in finder
    assert "depth" not in finder
    assert [direction.name for direction in finder] == finder.names_
    save_directions(tmp_path / "found.safetensors", finder)
    np.testing.assert_array_equal(load_directions(tmp_path / "found.safetensors").vectors, finder.directions_)
    assert match(finder, finder).mean == pytest.approx(1)
    assert add(finder, {"light": 1}, "more").names[-1] == "more"
    assert orthogonalise(finder).names == tuple(finder.names_)
    assert project_out(finder, "light", ["size"]).names == tuple(finder.names_)
    with pytest.raises(TypeError, match="needs a set of directions or a fitted finder, got list"):
        match([1], finder)
    with pytest.raises(TypeError, match="a fitted finder, got Effect"):
        add(Effect(), {"light": 1}, "more")


def test_what_reads_and_what_moves_are_told_apart_on_disk(data, tmp_path):
    for conditional in (False, True):
        found = RidgeNormal(conditional=conditional, folds=0).fit(*data)
        save_directions(tmp_path / "found.safetensors", found)
        again = load_directions(tmp_path / "found.safetensors")
        assert again.reads is not conditional
        np.testing.assert_allclose(again.normals("size")[0].vector, found.normals("size")[0].vector)
        assert (abs(again.normals("size")[0].vector @ found["size"].vector) > 1 - 1e-9) is not conditional


def test_a_sum_goes_where_its_parts_go_and_knows_its_scale(found, data):
    both = add(found, {"light": 2, "size": -1}, "small light")
    towards = 2 * found["light"].scale * found["light"].vector - found["size"].scale * found["size"].vector
    np.testing.assert_allclose(both["small light"].vector, towards / np.linalg.norm(towards))
    scales_are_true(both, data[0])
    assert np.isnan(both["small light"].p)
    assert both["light"].p == found["light"].p
    np.testing.assert_allclose(both["hue@200"].vector, found["hue@200"].vector)
    with pytest.raises(ValueError, match="there is a direction 'size' already"):
        add(found, {"light": 1}, "size")
    with pytest.raises(ValueError, match="nothing is left of 'none': its parts cancel"):
        add(add(found, {"light": 1, "size": 0}, "copy"), {"light": 1, "copy": -1}, "none")
    with pytest.raises(KeyError, match="no direction 'speed'; there are light, size"):
        add(found, {"speed": 1}, "fast")


def test_what_is_projected_out_is_gone_and_the_rest_is_untouched(found, data):
    held = project_out(found, "light", ["size", "hue@0", "hue@90"])
    assert held.names == found.names
    np.testing.assert_allclose(held["light"].vector @ held.vectors[1:].T, 0, atol=1e-12)
    np.testing.assert_array_equal(held.vectors[1:], found.vectors[1:])
    assert held["light"].vector @ found["light"].vector > 0.1
    scales_are_true(held, data[0])
    with pytest.raises(ValueError, match="'light' cannot be taken out of itself"):
        project_out(found, "light", ["light"])


def test_orthogonal_sets(found, data):
    first = orthogonalise(found, ["size", "light", "hue@0", "hue@90"])
    np.testing.assert_allclose(first.vectors @ first.vectors.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(first["size"].vector, found["size"].vector)
    assert first["size"].p == found["size"].p
    scales_are_true(first, data[0])
    nearest = orthogonalise(found)
    np.testing.assert_allclose(nearest.vectors @ nearest.vectors.T, np.eye(4), atol=1e-12)
    u, _, vt = np.linalg.svd(found.vectors, full_matrices=False)  # the polar factor is the nearest orthonormal set
    np.testing.assert_allclose(nearest.vectors, u @ vt, atol=1e-10)
    with pytest.raises(ValueError, match="light, copy depend on each other; leave one of them out with select"):
        orthogonalise(add(found, {"light": 1}, "copy").select(["light", "size", "copy"]))


def test_selected_and_renamed(found):
    chosen = found.select(["size", "light"]).renamed({"light": "brightness"})
    assert chosen.names == ("size", "brightness")
    np.testing.assert_array_equal(chosen["brightness"].vector, found["light"].vector)
    assert chosen["brightness"].scale == found["light"].scale
    assert chosen["brightness"].t == found["light"].t
    with pytest.raises(ValueError, match="two directions cannot have one name: size, size"):
        chosen.renamed({"brightness": "size"})
    assert "light" in found
    assert len(found) == 4


def test_the_file_gives_all_back(found, tmp_path):
    path = tmp_path / "set" / "found.safetensors"
    save_directions(path, found, {"seed": 3, "space": {"space": "LatentSpace"}})
    again = load_directions(path)
    assert again.names == found.names
    for part in ("vectors", "covariance", "lengths", "t", "r2", "p"):
        np.testing.assert_array_equal(getattr(again, part), getattr(found, part))
    assert again.provenance["seed"] == 3
    assert again.provenance["finder"] == "Effect"
    np.testing.assert_array_equal(again["hue@77"].vector, found["hue@77"].vector)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directions at"):
        load_directions(tmp_path / "none")
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        load_directions(tmp_path / "text")
    save_file({"vectors": np.eye(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match="was not written as directions"):
        load_directions(tmp_path / "other")
    header = json.dumps({"format": 1, "names": ["a"], "provenance": {}})
    save_file({"vectors": np.eye(2), "covariance": np.eye(2)}, tmp_path / "torn", {"directions": header})
    with pytest.raises(ValueError, match="names 1 directions, but its tensors are of another number"):
        load_directions(tmp_path / "torn")


def test_provenance_must_be_plain(found, tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_directions(tmp_path / "set", found, {"model": torch.nn.Identity()})
    assert not list(tmp_path.iterdir())


def test_shuffled_and_flipped_directions_are_matched(found):
    order = [2, 0, 3, 1]
    other = DirectionSet(tuple("abcd"), -found.vectors[order], found.covariance)
    matched = match(found, other)
    assert matched.pairs == (("light", "b"), ("size", "d"), ("hue@0", "a"), ("hue@90", "c"))
    np.testing.assert_allclose(matched.values, -1)
    assert matched.mean == pytest.approx(1)
    assert len(match(found, other.select(["c"])).pairs) == 1
    effects = np.array([[0.1, -3.0], [0.2, 4.0]])
    assert match(found.select(["light", "size"]), other.select(["a", "b"]), effects).values == (0.1, 4.0)
    with pytest.raises(ValueError, match="directions of 9 and 2 dims are of different spaces"):
        match(found, DirectionSet(("x",), np.ones((1, 2)), np.eye(1)))


def test_what_is_real_is_stable_and_noise_is_not(data):
    codes, table = data
    assert min(stability(Effect(), codes, table).values()) > 0.95
    rng = np.random.default_rng(0)
    noise = stability(Effect(folds=0, permutations=0), rng.standard_normal((200, 50)), rng.standard_normal((200, 2)))
    assert max(noise.values()) < 0.4
    plain = stability(PCA(count=2), codes * [9, 5, 1, 1, 1, 1, 1, 1, 1], seed=1)
    assert list(plain) == ["pca0", "pca1"]
    assert plain == stability(PCA(count=2), codes * [9, 5, 1, 1, 1, 1, 1, 1, 1], seed=1)
    assert plain["pca0"] > 0.95
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        stability(PCA(), codes, repeats=0)


def test_names_are_one_for_each_direction():
    with pytest.raises(ValueError, match="2 directions need as many different names, got light, light"):
        DirectionSet(("light", "light"), np.eye(2), np.eye(2))


@pytest.mark.parametrize("share", [np.nan, np.inf])
def test_a_share_that_is_no_number_is_told(share):
    with pytest.raises(ValueError, match="finite number of standard deviations"):
        add(DirectionSet(("x", "y"), np.eye(2), np.eye(2)), {"x": share}, "sum")
