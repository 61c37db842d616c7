"""Loops as graphs: what is recorded, what is replayed, and that a loop can be recorded at all."""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from latentlab.generator.exact_inversion import invert_exactly, sample_exactly
from latentlab.generator.graph import KEPT, Graphs
from latentlab.generator.guides import Descent
from latentlab.generator.levels import sampling_levels
from latentlab.spaces.text import pulled

ON_DEVICE = ("ddim", "midpoint", "heun", "leapfrog", "edict", "ddpm")


class Repeats(Graphs):
    """Graphs without a graphics card: the first function of a key runs again on the recorded tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded = 0

    def record(self, f, inputs):
        self.recorded += 1
        return lambda: f(inputs)


class Operations(TorchDispatchMode):
    """Names of all operations that a block runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func.overloadpacket).removeprefix("aten."))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", ON_DEVICE)
def test_replays_are_what_a_plain_run_gives(tiny_generator, clips, method):
    latents = tiny_generator.encode(clips)
    cases = [("a red star", 3.0, latents), ("a blue star", 3.0, -latents)]

    def run(caption, guidance, z):
        inverted = tiny_generator.invert(z, caption, num_steps=2, method=method, guidance=guidance, batch_size=2)
        fresh = tiny_generator.sample(inverted.noise, caption, num_steps=2, method=method, guidance=guidance)
        return inverted, tiny_generator.sample(inverted), fresh

    plain = [run(*case) for case in cases]
    tiny_generator.graphs = Repeats()
    for (inverted, back, fresh), case in zip(plain, cases, strict=True):
        again = run(*case)
        torch.testing.assert_close(again[0].noise, inverted.noise)
        assert again[0].exact == inverted.exact
        torch.testing.assert_close(again[1], back)
        torch.testing.assert_close(again[2], fresh)


def test_a_loop_is_recorded_once_and_anew_where_it_differs(tiny_generator):
    graphs = tiny_generator.graphs = Repeats()
    noise = tiny_generator.noise(2)
    first = tiny_generator.sample(noise, "a red star", num_steps=2)
    kept = first.clone()
    tiny_generator.sample(tiny_generator.noise(2, seed=1), "a blue star", num_steps=2)
    assert graphs.recorded == 1
    assert torch.equal(first, kept)  # a result is no part of the graph
    for i, changed in enumerate(({"num_steps": 3}, {"method": "ddim"}, {"guidance": 2.0}, {"batch_size": 1})):
        tiny_generator.sample(noise, "a red star", **{"num_steps": 2, **changed})
        assert graphs.recorded == 2 + i
    tiny_generator.to("cpu", torch.bfloat16)
    tiny_generator.sample(noise, num_steps=2)
    assert graphs.recorded == 6
    assert len(graphs._known) == KEPT


def test_other_settings_and_guides_are_another_loop(tiny_generator):
    graphs = tiny_generator.graphs = Repeats()
    noise = tiny_generator.noise(1)
    tiny_generator.sample(noise, num_steps=1)
    tiny_generator.settings = lambda: {"fps": 25.0}
    tiny_generator.sample(noise, num_steps=1)
    assert graphs.recorded == 2
    del tiny_generator.settings
    for strength in (1.0, 2.0, 1.0):
        pulled(tiny_generator, ("a red star", "a blue star"), strength).sample(noise, num_steps=1)
    assert graphs.recorded == 4
    tiny_generator.guided(Descent(lambda x: x.sum(), 1.0)).sample(noise, num_steps=1)
    assert graphs.recorded == 4  # nobody knows what an energy reads


def test_a_network_that_reads_from_the_device_cannot_be_graphed(tiny_generator):
    class Reading(type(tiny_generator)):
        capturable = False

    tiny_generator.__class__ = Reading
    with pytest.raises(ValueError, match=r"network of Reading reads from the device .* compile\(\) does not mind"):
        tiny_generator.graphed()


def test_what_reads_from_the_device_is_not_recorded(tiny_generator, clips):
    graphs = tiny_generator.graphs = Repeats()
    latents, seen = tiny_generator.encode(clips), []
    for method in ("ddim+anderson", "implicit-midpoint", "ddpm"):
        tiny_generator.invert(latents, num_steps=2, method=method)
    tiny_generator.sample(latents, num_steps=2, callback=lambda *step: seen.append(step))
    assert graphs.recorded == 0
    assert len(seen) == 2


@pytest.mark.parametrize("method", ON_DEVICE)
def test_the_loop_reads_nothing_from_the_device(tiny_generator, method):
    told = tiny_generator.condition("a red star")
    velocity = tiny_generator.velocity(replace(told, against=tiny_generator.condition("")), 3.0)
    levels = sampling_levels(3)
    noise = tiny_generator.noise(1)
    memory = torch.zeros(1, 3, *noise.shape[1:]) if method == "ddpm" else None
    with Operations() as run:
        sample_exactly(velocity, noise, levels, method=method, memory=memory)
        if method != "ddpm":
            invert_exactly(velocity, noise, levels.flip(0), method=method)
    assert not {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero"} & set(run.names)


@pytest.mark.parametrize(("method", "updates"), [("ddim", 1), ("midpoint", 2), ("leapfrog", 1)])
def test_one_update_a_call_of_the_network(method, updates):
    slope, start, levels = torch.ones(1, 3), torch.zeros(1, 3), sampling_levels(10)
    with Operations() as run:
        sample_exactly(lambda y, s: slope, start, levels, method=method)
    assert [name for name in run.names if name not in ("_to_copy", "detach")] == ["add"] * 10 * updates


def test_leapfrog_on_its_grid_rounds_each_move_once():
    slope, start, levels = torch.ones(1, 3).double(), torch.zeros(1, 3).double(), sampling_levels(10)
    with Operations() as run:
        sample_exactly(lambda y, s: slope, start, levels, method="leapfrog", memory=start)
    on_the_grid = ["div", "round", "mul"] * 2
    assert [name for name in run.names if name != "detach"] == [*on_the_grid, *["mul", "round_", "add"] * 9]


def test_graphs_need_a_graphics_card(tiny_generator):
    with pytest.raises(ValueError, match="CUDA graphs need weights on a CUDA device, these are on cpu"):
        tiny_generator.graphed()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ON_DEVICE)
def test_cuda_graphs_are_what_a_plain_run_gives(tiny_generator, clips, method):
    tiny_generator.to("cuda")
    latents = tiny_generator.encode(clips)
    plain = tiny_generator.invert(latents, "a red star", num_steps=4, method=method, guidance=2.0)
    tiny_generator.graphed()
    for seed in range(2):
        noise = tiny_generator.noise(3, seed=seed)
        graphs, tiny_generator.graphs = tiny_generator.graphs, None
        expected = tiny_generator.sample(noise, "a red star", num_steps=4, method=method, guidance=2.0)
        tiny_generator.graphs = graphs
        found = tiny_generator.sample(noise, "a red star", num_steps=4, method=method, guidance=2.0)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    again = tiny_generator.invert(latents, "a red star", num_steps=4, method=method, guidance=2.0)
    torch.testing.assert_close(again.noise, plain.noise, atol=1e-4, rtol=1e-4)
