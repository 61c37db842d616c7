"""Exact inversion, on a mixture whose denoiser is known exactly and on a small network."""

import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from latentlab.generator import inverted as inverted_file
from latentlab.generator.anderson import fixed_point
from latentlab.generator.exact_inversion import invert_exactly, sample_exactly
from latentlab.generator.inverted import Inverted
from latentlab.generator.levels import sampling_levels
from latentlab.generator.methods import METHODS
from latentlab.generator.retracing import RETRACING
from latentlab.generator.solver import METHODS as STEPS
from latentlab.generator.solver import solve
from latentlab.generator.trace import Trace
from latentlab.study.mixture import GaussianMixture

LATER = ("tiles", "batches")  # what files did not hold at first
ALGEBRAIC = ("leapfrog", "edict", "ddpm")
MIXTURE = GaussianMixture.random(16, 64)
CLIPS = MIXTURE.draw(8)
LEVELS = sampling_levels(25)


def draw(step: int) -> torch.Tensor:
    return torch.randn(CLIPS.shape, dtype=CLIPS.dtype, generator=torch.Generator().manual_seed(step))


def there_and_back(method: str, clips=CLIPS, velocity=MIXTURE.velocity, levels=LEVELS) -> tuple[Trace, float]:
    trace = invert_exactly(velocity, clips, levels.flip(0), method=method, draw=lambda i: draw(i).to(clips))
    back = sample_exactly(velocity, trace.noise, levels, method=method, memory=trace.memory)
    return trace, float((back - clips).norm() / clips.norm())


def guided(y, s, weight=7.5):
    """Towards the first mode, as classifier-free guidance does."""
    one = GaussianMixture(MIXTURE.means[:1], MIXTURE.sds[:1], torch.ones(1, dtype=torch.float64))
    return torch.lerp(MIXTURE.velocity(y, s), one.velocity(y, s), weight)


@pytest.mark.parametrize("method", ALGEBRAIC)
def test_algebraic_methods_return_the_clip_to_the_last_digits(method):
    trace, error = there_and_back(method)
    assert trace.exact
    assert error < 1e-12


@pytest.mark.parametrize("method", ALGEBRAIC)
def test_they_do_so_in_float32(method):
    _, error = there_and_back(method, CLIPS.float(), lambda y, s: MIXTURE.velocity(y.double(), s).float())
    assert error < 2e-6


def test_leapfrog_stays_exact_under_strong_guidance():
    assert there_and_back("leapfrog", velocity=guided)[1] < 1e-9
    assert there_and_back("ddim", velocity=guided)[1] > 1e-2


@pytest.mark.parametrize(
    "velocity",
    [guided, lambda y, s: guided(y.bfloat16().double(), s)],
    ids=["strong guidance", "a network that rounds its input"],
)
def test_leapfrog_gives_float32_latents_back_bit_for_bit(velocity):
    clips = CLIPS.float()
    trace = invert_exactly(velocity, clips.double(), LEVELS.flip(0), method="leapfrog")
    back = sample_exactly(velocity, trace.noise, LEVELS, method="leapfrog", memory=trace.memory)
    assert torch.equal(back.float(), clips)


@pytest.mark.parametrize("method", ["ddim+anderson", "implicit-midpoint"])
def test_implicit_methods_are_exact_to_their_residual(method):
    trace, error = there_and_back(method)
    assert trace.residual is not None
    assert trace.exact
    assert error < 100 * max(trace.residual, 1e-9)


@pytest.mark.parametrize("method", ["ddim+anderson", "implicit-midpoint"])
def test_where_it_does_not_converge_it_is_not_called_exact(method):
    warns = pytest.warns(UserWarning, match=r"step of implicit-midpoint was solved to a relative residual of \d")
    with warns if method == "implicit-midpoint" else nullcontext():  # the other has nothing to solve when sampling
        trace, error = there_and_back(
            method, velocity=lambda y, s: 9 * torch.sin(9 * y.flip(1)), levels=sampling_levels(4)
        )
    assert error > 1e-3
    assert not trace.exact


@pytest.mark.parametrize("method", ["ddim", "midpoint", "heun"])
def test_the_rest_claim_nothing(method):
    trace, error = there_and_back(method)
    assert (trace.residual, trace.exact) == (None, False)
    assert error > 1e-8


def test_midpoint_is_fifty_times_nearer_the_true_encoding_than_ddim():
    truth = solve(MIXTURE.velocity, CLIPS, sampling_levels(3200).flip(0), method="midpoint")
    away = {m: float((there_and_back(m)[0].noise - truth).norm()) for m in ("ddim", "midpoint", "leapfrog")}
    assert away["midpoint"] <= away["ddim"] / 50
    assert away["leapfrog"] < away["ddim"]


@pytest.mark.parametrize(
    ("method", "there", "back"),
    [("ddim", 25, 25), ("midpoint", 50, 50), ("leapfrog", 25, 24), ("edict", 50, 50), ("ddpm", 25, 25)],
)
def test_calls_of_the_network(method, there, back):
    calls = []

    def counted(y, s):
        calls.append(s)
        return MIXTURE.velocity(y, s)

    trace = invert_exactly(counted, CLIPS, LEVELS.flip(0), method=method, draw=draw)
    assert len(calls) == there
    sample_exactly(counted, trace.noise, LEVELS, method=method, memory=trace.memory)
    assert len(calls) == there + back


@pytest.mark.parametrize("method", METHODS)
def test_fresh_noise_becomes_data(method):
    """Without a memory every method samples: the ends lie in the mixture, as near their mode as data do."""
    noise = torch.randn(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ends = sample_exactly(MIXTURE.velocity, noise, sampling_levels(100), method=method)
    distance, mode = torch.cdist(ends, MIXTURE.means).min(1)
    ratio = distance / (MIXTURE.sds[mode] * math.sqrt(64))
    assert 0.9 < float(ratio.median()) < 1.1


@pytest.mark.parametrize("method", METHODS)
def test_one_step_and_the_callback(method):
    seen = []
    trace = invert_exactly(
        MIXTURE.velocity, CLIPS, sampling_levels(3).flip(0), method=method, draw=draw,
        callback=lambda step, level, y: seen.append((step, level)),
    )  # fmt: skip
    assert [step for step, _ in seen] == [0, 1, 2]
    single = invert_exactly(MIXTURE.velocity, CLIPS, sampling_levels(1).flip(0), method=method, draw=draw)
    assert single.noise.shape == trace.noise.shape


def test_ddpm_maps_are_not_correlated_with_their_neighbours_and_change_the_clip_nowhere():
    trace, _ = there_and_back("ddpm")
    assert trace.memory is not None
    assert trace.memory.shape == (8, 25, 64)


@pytest.mark.parametrize(
    ("method", "levels", "match"),
    [
        ("euler", LEVELS.flip(0), "unknown method 'euler'; there are ddim"),
        ("leapfrog", LEVELS, "rise to invert"),
        ("ddpm", LEVELS.flip(0), "give draw="),
    ],
)
def test_wrong_arguments_are_named(method, levels, match):
    with pytest.raises(ValueError, match=match):
        invert_exactly(MIXTURE.velocity, CLIPS, levels, method=method)


def test_every_method_that_is_named_is_there():
    assert {*STEPS, *RETRACING} == METHODS.keys()
    assert RETRACING.keys() == {name for name, method in METHODS.items() if method.retraces}


def test_anderson_solves_a_linear_equation_that_plain_iteration_does_not():
    matrix = torch.diag(torch.tensor([0.5, -1.6, 0.9], dtype=torch.float64))  # |-1.6| > 1: plain iteration diverges
    start = torch.zeros(1, 3, dtype=torch.float64)
    z, residual = fixed_point(lambda z: z @ matrix + 1, start, max_calls=20, memory=3, tolerance=1e-10)
    torch.testing.assert_close(z, 1 / (1 - matrix.diagonal())[None])
    assert residual < 1e-10


def test_an_item_does_not_depend_on_its_neighbours():
    slow, quick = torch.full((1, 2), 3.0), torch.zeros(1, 2)

    def f(z):
        return 0.3 * torch.sin(z) + 0.1 * z.flip(1)

    alone = fixed_point(f, quick)[0]
    assert torch.equal(fixed_point(f, torch.cat([quick, slow]))[0][:1], alone)


class TestGenerator:
    """The contract through the whole generator."""

    @pytest.mark.parametrize("method", ALGEBRAIC)
    @pytest.mark.parametrize(("guidance", "bound"), [(1.0, 1e-5), (7.5, 1e-3)])
    def test_latents_come_back(self, tiny_generator, clips, method, guidance, bound):
        latents = tiny_generator.encode(clips)
        inverted = tiny_generator.invert(latents, "a red star", num_steps=5, method=method, guidance=guidance)
        back = tiny_generator.sample(inverted)
        assert inverted.exact
        assert float((back - latents).norm() / latents.norm()) < bound

    def test_another_caption_edits(self, tiny_generator, clips):
        latents = tiny_generator.encode(clips)
        inverted = tiny_generator.invert(latents, "a red star", num_steps=3, method="leapfrog")
        assert not torch.allclose(tiny_generator.sample(inverted, "a blue star", guidance=3.0), latents, atol=1e-3)

    def test_it_survives_the_disk_and_refuses_another_generator(self, tiny_generator, clips, tmp_path):
        latents = tiny_generator.encode(clips)
        inverted = tiny_generator.invert(latents, num_steps=4, method="leapfrog")
        inverted.save(tmp_path / "deep" / "clip.safetensors")
        again = Inverted.load(tmp_path / "deep" / "clip.safetensors")
        assert torch.equal(tiny_generator.sample(again), tiny_generator.sample(inverted))
        with pytest.raises(ValueError, match=r"weights was 'other', is '[0-9a-f]{64}'"):
            tiny_generator.sample(replace(again, weights="other"))
        with pytest.raises(ValueError, match=r"levels was .*, is .*values \(0, "):
            tiny_generator.sample(again, num_steps=5)
        with pytest.raises(ValueError, match=r"method was 'leapfrog', is 'ddim'.*batch_size was 16, is 1"):
            tiny_generator.sample(again, method="ddim", batch_size=1)
        assert tiny_generator.sample(again.noise, num_steps=5).shape == latents.shape

    def test_files_that_are_no_inverted_latents(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no inverted latent"):
            Inverted.load(tmp_path / "none.safetensors")
        (tmp_path / "text.safetensors").write_text("hello")
        with pytest.raises(ValueError, match="not a readable safetensors"):
            Inverted.load(tmp_path / "text.safetensors")

    def test_ddpm_noise_depends_on_seed_and_item_alone(self, tiny_generator, clips):
        latents = tiny_generator.encode(clips)
        whole = tiny_generator.invert(latents, num_steps=3, method="ddpm")
        parts = tiny_generator.invert(latents, num_steps=3, method="ddpm", batch_size=1)
        torch.testing.assert_close(whole.noise, parts.noise)
        assert not torch.equal(whole.noise, tiny_generator.invert(latents, num_steps=3, method="ddpm", seed=1).noise)

    def test_moving_a_pair_moves_both_states(self, tiny_generator, clips):
        inverted = tiny_generator.invert(tiny_generator.encode(clips), num_steps=3, method="leapfrog")
        moved = inverted.moved(torch.ones_like(inverted.trace.noise))
        torch.testing.assert_close(moved.trace.memory - inverted.trace.memory, torch.ones_like(inverted.trace.noise))

    def test_moves_have_the_shape_of_the_noise(self, tiny_generator, clips):
        inverted = tiny_generator.invert(tiny_generator.encode(clips), num_steps=2)
        one = inverted.moved(torch.ones_like(inverted.noise[:1]))
        torch.testing.assert_close(one.noise - inverted.noise, torch.ones_like(inverted.noise))
        for shape in ((1,), (2, 2, 4, 2, 2), (3, 1, 4, 2, 2)):
            with pytest.raises(ValueError, match=r"moves have the shape of the noise, \(3, 2, 4, 2, 2\).* got"):
                inverted.moved(torch.ones(shape))

    @pytest.mark.parametrize("method", ["leapfrog", "ddpm"])
    def test_some_of_the_clips(self, tiny_generator, clips, method, tmp_path):
        latents = tiny_generator.encode(clips)
        captions = ["a red star", "", "a blue star"]
        inverted = tiny_generator.invert(latents, captions, num_steps=3, method=method, batch_size=2)
        assert inverted.exact
        for rows, exact in ((slice(0, 2), True), (slice(2, 3), True), (slice(1, 3), False)):
            some = inverted[rows]
            assert len(some) == len(latents[rows])
            assert some.exact is exact  # in its own batches, or in others
            torch.testing.assert_close(tiny_generator.sample(some), latents[rows], atol=1e-4, rtol=1e-4)
        inverted[1:3].save(tmp_path / "some.safetensors")
        again = Inverted.load(tmp_path / "some.safetensors")
        assert (again.batches, again.exact) == ((2, 1), False)
        with pytest.raises(TypeError, match=r"taken by a slice, inverted\[2:3\], got 1"):
            inverted[1]

    def test_files_of_before_still_load(self, tiny_generator, clips, tmp_path, monkeypatch):
        latents = tiny_generator.encode(clips)
        inverted = tiny_generator.invert(latents, num_steps=3, method="leapfrog")
        monkeypatch.setattr(inverted_file, "_SETTINGS", tuple(n for n in inverted_file._SETTINGS if n not in LATER))
        inverted.save(tmp_path / "old.safetensors")
        monkeypatch.undo()
        again = Inverted.load(tmp_path / "old.safetensors")
        assert (again.tiles, again.batches) == (None, None)
        assert torch.equal(tiny_generator.sample(again), tiny_generator.sample(inverted))
