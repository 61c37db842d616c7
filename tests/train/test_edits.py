"""The training of the edit network: pairs that differ in one factor, a run that goes on, and conditions that say it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import MovingShapes, moving_shapes
from latentlab.data.moving.edits import (
    CONDITION,
    EDITS,
    ORDER_OF,
    READING,
    centre,
    column,
    condition,
    reading,
    reading_loss,
    rows_of,
)
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure import track
from latentlab.data.moving.object_edits import KINDS, TOLD
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.networks.edits import EditNetwork, load_edits
from latentlab.networks import EditConfig
from latentlab.train import edits
from latentlab.train.edit_reader import draw_readings, heat_of
from latentlab.train.edits import DRAWN, PAIRS, SHARES, draw_frames, edited_factors, train_edits
from latentlab.train.loop import LoopConfig
from latentlab.train.settings import EditTraining

NOBODY = np.array([np.inf, np.inf])
LOOP = LoopConfig(steps=2, batch_size=4, save_every=1, workers=0)
SMALL = EditTraining(
    LOOP, EditConfig(width=8, blocks=1, hidden=8, reader_width=8), frames=4, two=0.7, read_frames=4, read_steps=0
)


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(AutoencoderConfig(2, (8, 8, 8), (1, 1, 1), (1, 1, 1)))


@pytest.fixture(scope="module")
def drawings(autoencoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edits, "SHARD", 4)
        yield folder, draw_frames(MovingShapes(100, 1), autoencoder, SMALL, folder)


def test_a_pair_differs_in_its_own_factor_alone(drawings):
    _, found = drawings
    assert found["latents"].shape == (4, 1 + len(DRAWN), 2, 8, 8)
    assert 0 < found["other"].isfinite().all(1).sum() < 4  # one object, and two
    for kind, pairs in PAIRS.items():
        own = {"start_x", "start_y", "direction", "speed"} if kind == "place" else {kind}
        for before, after in found["rows"][:, pairs].flatten(0, 1):
            assert {name for name, a, b in zip(NAMES, before, after, strict=False) if a != b} <= own


def test_each_edit_has_its_variants_and_moves_are_told_as_one():
    assert sorted(PAIRS) == sorted(KINDS) == sorted(SHARES)
    assert sum(SHARES.values()) == pytest.approx(1)
    assert [len(PAIRS[kind]) for kind in ("light", "size", "place")] == [1, 3, 10]


def test_a_run_is_resumed_and_gives_a_network_that_loads(autoencoder, drawings, tmp_path):
    data, (folder, _) = MovingShapes(100, 1), drawings
    trained = train_edits(data, autoencoder, tmp_path / "whole", SMALL, device="cpu", drawn=folder)
    first = replace(SMALL, loop=replace(LOOP, steps=1))
    train_edits(data, autoencoder, tmp_path / "split", first, device="cpu", drawn=folder)
    again = train_edits(data, autoencoder, tmp_path / "split", SMALL, device="cpu", drawn=folder)
    assert sum(p.numel() for p in trained.parameters()) == sum(p.numel() for p in again.parameters())
    network = load_edits(tmp_path / "whole" / "edits.safetensors")
    assert network.config.latent_channels == 2
    assert network.config.objects == 2
    assert network.config.autoencoder
    latents = torch.randn(5, 2, 8, 8)
    assert network(latents, torch.zeros(5, TOLD), torch.zeros(5, 2, 2)).shape == latents.shape
    assert network.find(latents).shape == (5, 16, 16)
    assert network.read(latents, torch.zeros(5, 2)).shape == (5, READING)
    with pytest.raises(ValueError, match="near says which"):
        network.read(latents)


def test_the_reader_goes_on_by_itself(autoencoder, drawings, tmp_path):
    data, (folder, _) = MovingShapes(100, 1), drawings
    found = draw_readings(data, autoencoder, SMALL, tmp_path)
    assert found["latents"].shape == (4, 2, 8, 8)
    assert found["rows"].shape == (4, len(NAMES) + 1)
    before = train_edits(data, autoencoder, tmp_path / "run", SMALL, device="cpu", drawn=folder).state_dict()
    more = replace(SMALL, read_steps=2)
    after = train_edits(data, autoencoder, tmp_path / "run", more, device="cpu", drawn=folder).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"reader", "finder"}


def test_heat_is_where_objects_are():
    cells = EditNetwork(EditConfig()).cells(torch.zeros(1))
    places = torch.tensor([[[0.25, -0.75], [1.25, 1.25]], [[0.25, -0.75], [torch.nan, torch.nan]]])
    heat = heat_of(cells, places)
    assert heat[0, 2, 4] == heat[1, 2, 4] == heat[0, 6, 6] == 1
    assert heat[1, 6, 6] < 1e-6


def test_a_frame_is_carried_by_whole_cells_to_where_the_object_is_to_be():
    network = EditNetwork(EditConfig(objects=2, condition=TOLD, width=8, blocks=0, hidden=8, reader_width=8))
    latents, seen = torch.randn(1, 6, 8, 8), []
    network.enter.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    here = torch.tensor([0.25, -0.75])  # 15.5 pixels are two cells
    network(latents, torch.zeros(1, TOLD), torch.stack([here, here + torch.tensor([15.5 / 16, 0])])[None])
    assert torch.equal(seen[0][:, 6:12, :, 2:], latents[..., :6])
    assert seen[0][0, -1].argmax() == 2 * 8 + 6  # the object carried there


def test_the_loss_asks_the_network_by_its_call_alone(autoencoder, drawings, tmp_path, monkeypatch):
    """As `torchrun` wraps it; what is asked otherwise gets no gradient of the other processes."""

    def one_step(model, make_batch, loss, *_, **__):
        value, _ = loss(lambda *given: model(*given), make_batch(0), torch.Generator().manual_seed(0))
        value.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        return model

    monkeypatch.setattr("latentlab.train.edits.train", one_step)
    train_edits(MovingShapes(100, 1), autoencoder, tmp_path, SMALL, device="cpu", drawn=drawings[0])


def test_rows_are_read_from_what_a_perfect_reader_says():
    rows = torch.from_numpy(MovingShapes(40, 5).factors().values).float()
    said = torch.stack([reading(rows, torch.full((40,), float(t))) for t in range(16)], 1)
    said[..., :5] *= 20  # scores of the shape
    found = rows_of(said)
    for name in ("shape", "size", "light", "start_x", "start_y", "speed"):
        assert torch.allclose(column(found, name), column(rows, name), atol=1e-3), name
    for name in ("hue", "background_hue", "direction"):
        off = (column(found, name) - column(rows, name) + 180) % 360 - 180
        assert off[column(rows, "speed") > 0.02].abs().max() < 0.1, name
    turns = column(rows, "shape") > 0
    assert (column(found, "rotation") - column(rows, "rotation"))[turns].abs().max() < 0.01


def test_the_loss_of_a_reading_counts_the_pose_of_its_own_symmetry_only():
    rows = torch.from_numpy(MovingShapes(20, 5).factors().values).float()
    right = reading(rows, torch.full((20,), 3.0))
    right[:, :5] = 50 * right[:, :5]
    assert reading_loss(right, reading(rows, torch.full((20,), 3.0))) < 1e-6
    star = ORDER_OF[column(rows, "shape").long()] == 5
    wrong = right.clone()
    wrong[star, -6:-2] += 1.0  # the phases of triangles and squares
    assert reading_loss(wrong, reading(rows, torch.full((20,), 3.0))) < 1e-6
    wrong[star, -1] += 1.0
    assert reading_loss(wrong, reading(rows, torch.full((20,), 3.0))) > 1e-3


def test_the_condition_tells_the_place_before_and_after_and_nothing_of_other_factors():
    clips, table = moving_shapes(4, 3, fixed={"speed": 0.5, "blur": 0.0})
    rows = torch.from_numpy(table.values).float()
    after = rows.clone()
    after[:, NAMES.index("direction")] += 90
    time = torch.full((4,), 15.0)
    assert np.allclose(centre(rows, time).numpy(), track(clips)[:, 15], atol=0.05)
    told, places = condition(rows, after, torch.full((4,), EDITS.index("direction")), time)
    assert told.shape == (4, CONDITION)
    assert torch.allclose(places * 16 + 32, torch.stack([centre(rows, time), centre(after, time)], 1), atol=1e-4)
    told, places = condition(rows, after, torch.full((4,), EDITS.index("hue")), time)
    assert torch.equal(places[:, 0], places[:, 1])
    other = after.clone()
    other[:, NAMES.index("light")] = 0.9
    assert torch.equal(told, condition(rows, other, torch.full((4,), EDITS.index("hue")), time)[0])


def test_an_edit_that_would_leave_the_frame_is_none():
    shown = dict(zip(NAMES, MovingShapes(1, 0).sampler(0), strict=True)) | {"start_x": -300.0}
    assert edited_factors(shown, "direction", "", False, 5, np.random.default_rng(0), NOBODY) == shown


def test_an_edit_that_would_cover_the_other_object_is_none():
    shown = dict(zip(NAMES, MovingShapes(1, 0).sampler(0), strict=True)) | {"speed": 0.0}
    rng, middle = np.random.default_rng(0), np.array([32.0, 32.0])
    for _ in range(20):
        moved = edited_factors(shown, "place", "", False, 5, rng, middle)
        apart = np.hypot(moved["start_x"] - 32, moved["start_y"] - 32)
        assert moved == shown or apart >= 6
