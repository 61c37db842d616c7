"""Memory is read off shapes: what lives at once, of tensors and convolutions whose sizes are known."""

import json

import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.generator.sampler import Sampler
from latentlab.generator.weightless import Bytes, bare, network_bytes, shape_like, unweighed, weightless
from latentlab.study.memory import JOBS, memory


@pytest.fixture(scope="module")
def shadow():
    return weightless(tiny.generator())


def test_what_lives_at_once_is_counted(shadow):
    with unweighed() as count:
        x = shape_like(shadow, 1000)  # 4,000 bytes
        y = x + 1
        del x
        z = y * 2
        assert (count.alive, count.peak) == (8000, 8000)
        view, z = z[:10], None
        assert count.alive == 8000  # the view holds all of it
        del view
        assert count.alive == 4000
    del y
    assert count.alive == 0


def test_weights_and_what_was_there_before_are_not(shadow):
    weight = next(iter(shadow.modules[0].parameters()))
    with unweighed() as count:
        weight.t() if weight.ndim == 2 else weight.flatten()
        assert count.peak == 0


def test_questions_of_numbers_are_answered(shadow):
    x = shape_like(shadow, 3)
    with unweighed():
        assert (x.isfinite().all(), float(x.sum()), int(x.argmax())) == (True, 0.0, 0)


def test_a_plain_convolution_unfolds_its_input():
    layer = torch.nn.Conv3d(4, 2, 3, padding=1, bias=False).requires_grad_(False)
    x = torch.zeros(1, 4, 5, 6, 7)
    with torch.no_grad(), Bytes() as count:
        layer(x)
    one = (1,) * 3
    kernel = torch._C._select_conv_backend(x, layer.weight, None, one, one, one, False, (0,) * 3, 1, None)
    own = 27 * x.nbytes if kernel.name == "Slow3d" else x.nbytes
    assert count.peak == 2 * 5 * 6 * 7 * 4 + own


def test_nothing_of_the_generator_changes():
    generator = tiny.generator()
    before = generator.fingerprint()
    plan = memory(generator, ["decode"], clips=2)
    assert generator.fingerprint() == before
    held = sum(p.nbytes for p in [*generator.denoiser.parameters(), *generator.denoiser.buffers()])
    assert plan.weights["denoiser"] == held == network_bytes(generator)["denoiser"]
    assert plan.above["decode"] > 2 * 3 * 4 * 16 * 16 * 4  # the clips that come out
    assert plan.total["decode"] == plan.above["decode"] + sum(plan.weights.values())


@pytest.mark.slow
def test_every_job_of_the_shipped_kind(shadow):
    found = memory(shadow, sampler=Sampler("leapfrog", 2)).above
    assert list(found) == list(JOBS)
    assert found["roundtrip"] >= max(found[job] for job in ("encode", "decode", "invert"))
    assert memory(shadow, ["sample"], clips=3, sampler=Sampler("ddim", 1)).above["sample"] > 2 * found["sample"]


@pytest.mark.slow
def test_a_method_that_keeps_a_map_of_each_step(shadow):
    four, six = (memory(shadow, ["invert"], sampler=Sampler("ddpm", n)).above["invert"] for n in (4, 6))
    state = 8 * 2 * 4 * 2 * 2  # of a clip, in float64
    assert six - four == pytest.approx(2 * 2 * state, abs=2 * state)  # a state and its map, a step


def test_no_such_job(shadow):
    with pytest.raises(ValueError, match="no job 'paint'; there are caption, encode"):
        memory(shadow, ["paint"])


def test_a_copy_of_shapes_holds_no_numbers():
    layer = torch.nn.Linear(3, 2)
    copy = bare({"net": layer}, [layer])["net"]
    assert copy.weight.shape == (2, 3)
    assert copy.weight.untyped_storage().device.type == "meta"


# --------------------------------------------------------------------------------------------------------- pipelines
@pytest.mark.slow
def test_a_pipeline_without_its_weights(tmp_path, capsys):
    pytest.importorskip("diffusers")
    from generator.pipelines.whole import wan

    from latentlab import load

    wan().pipe.save_pretrained(tmp_path)
    jobs, one = ["caption", "sample"], Sampler("ddim", 1)
    held = memory(load(tmp_path, device="cpu", num_frames=5, height=16, width=32), jobs, clips=2, sampler=one)
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    asked = [word for job in jobs for word in ("--job", job)]
    size = ["--num-frames", "5", "--size", "16x32", "--clips", "2", "--device", "cpu"]
    way = ["--method", "ddim", "--guidance", "1", "--steps", "1", "--json"]
    assert main(["memory", "--model", str(tmp_path), *asked, *size, *way]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["weights"] == held.weights
    assert told["above"] == held.above


@pytest.mark.slow
def test_a_driven_pipeline_is_told_of_as_it_is_held():
    pytest.importorskip("diffusers")
    from generator.pipelines.whole import flux

    from latentlab import load

    own = flux()
    generator = load(own.pipe, height=64, width=64, call=own.call)
    plan = memory(generator, sampler=Sampler("leapfrog", 1))
    assert {"caption", "encode", "invert", "sample", "decode", "roundtrip"} <= set(plan.above)
    assert "attention" in plan.left_out
