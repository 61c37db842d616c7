"""Round trips: what the report claims, and that it is measured."""

import pytest
import torch

from latentlab.metrics.perceptual import BACKBONES
from latentlab.study.roundtrip import compare, exact_kernels, roundtrip, self_test


@pytest.fixture
def noisy_generator(tiny_generator):
    """A generator whose network adds 1 % of noise to every answer."""
    predict, rng = tiny_generator.predict, torch.Generator().manual_seed(0)

    def noisy(y, s, condition):
        v = predict(y, s, condition)
        return v + 0.01 * v.std() * torch.randn(v.shape, generator=rng)

    tiny_generator.predict = noisy
    return tiny_generator


@pytest.mark.filterwarnings("ignore:a step of implicit-midpoint")
@pytest.mark.parametrize("method", ["leapfrog", "edict", "ddpm", "ddim+anderson", "implicit-midpoint"])
def test_what_was_measured_is_never_called_exact_beyond_its_bound(noisy_generator, clips, method):
    trip = roundtrip(noisy_generator, clips, num_steps=4, method=method)
    assert trip.latent_error > 1e-4
    assert trip.latents_again.startswith("not exact")
    assert f", error {trip.latent_error:.1e};" in trip.verdict


def test_exact_asks_the_network_twice_and_shows_what_it_said(noisy_generator, clips):
    trip = roundtrip(noisy_generator, clips, ["a red star", "", "a star"], num_steps=2, method="leapfrog", exact=True)
    assert 0.005 < trip.determinism["twice"] < 0.05
    assert trip.numbers()["network_twice"] == pytest.approx(trip.determinism["twice"], rel=1e-2)
    head, _, row = str(trip).splitlines()
    assert head.endswith("| latents come back | network twice | network other batch |")
    assert f"| {trip.determinism['twice']:.1e} |" in row


def test_the_report_says_what_is_exact(tiny_generator, clips):
    trips = {m: roundtrip(tiny_generator, clips, num_steps=4, method=m, exact=True) for m in ("ddim", "leapfrog")}
    assert trips["leapfrog"].latents_again == "bit for bit"
    assert trips["leapfrog"].determinism["twice"] == 0.0
    assert trips["ddim"].latents_again == "not exact"
    assert trips["leapfrog"].latent_error < 1e-5 < trips["ddim"].latent_error


def test_latents_that_come_back_are_no_claim_about_the_clip(tiny_generator, clips):
    """The autoencoder of random weights loses nearly everything, and the words say so."""
    trip = roundtrip(tiny_generator, clips, num_steps=2, method="leapfrog")
    assert trip.total.psnr < 12
    lost = f"{trip.total.psnr:.1f} dB, the autoencoder alone {trip.autoencoder.psnr:.1f} dB"
    assert trip.verdict == f"latents come back bit for bit; the clip again: {lost}"


def test_it_goes_on_the_levels_of_sampling_unless_told(tiny_generator, clips):
    """So that what is said of a way back is said of the sampler's."""
    plain, dense = (roundtrip(tiny_generator, clips, num_steps=3, **options) for options in ({}, {"levels": None}))
    assert (plain.inverted.levels_for, dense.inverted.levels_for) == ("sampling", "analysis")
    measured = roundtrip(tiny_generator, clips, num_steps=3, levels="analysis", estimate=True).numbers()
    assert measured["estimate_calls"] == 12
    assert measured["encoding_error"] > 0


def test_it_prints_as_a_table(tiny_generator, clips):
    trips = compare(tiny_generator, clips, methods=("ddim", "leapfrog"), num_steps=2)
    head, _, *rows = str(trips).splitlines()
    assert head == "| method | autoencoder dB | inversion dB | total dB | latent error | latents come back |"
    assert [row.split(" | ")[0] for row in rows] == ["| ddim", "| leapfrog"]
    assert rows[1].endswith("| bit for bit |")
    assert str(trips["leapfrog"]).splitlines() == [head, _, rows[1]]


def test_lpips_is_measured_where_its_weights_are(tiny_generator, monkeypatch, tmp_path):
    large = torch.rand(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("latentlab.study.roundtrip.lpips", lambda a, b: torch.full((len(a),), 0.25))
    monkeypatch.setattr("latentlab.study.roundtrip.find_spec", lambda name: name)
    assert roundtrip(tiny_generator, large, num_steps=1).total.perceptual is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / BACKBONES["alex"]).touch()
    trip = roundtrip(tiny_generator, large, num_steps=1)
    assert trip.numbers()["total_perceptual"] == 0.25
    assert str(trip).splitlines()[0].endswith("| perceptual |")
    assert roundtrip(tiny_generator, large[..., :16, :16], num_steps=1).total.perceptual is None  # too small for it


def test_the_network_answers_twice_alike(tiny_generator):
    for told in ("", tiny_generator.condition("a red star")):
        report = self_test(tiny_generator, told)
        assert report["twice"] == 0.0
        assert report["other_batch"] < 1e-5


def test_a_network_that_does_not_is_told_apart(tiny_generator):
    predict, calls = tiny_generator.predict, []
    tiny_generator.predict = lambda y, s, c: calls.append(s) or predict(y, s, c) * (1 + 1e-3 * len(calls))
    assert self_test(tiny_generator)["twice"] > 1e-4


def test_exact_kernels_are_put_back():
    with exact_kernels():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
