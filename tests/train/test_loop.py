"""The training loop: it survives kills, full disks and bad data, and says what happened."""

import errno
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

import latentlab
from latentlab.train import loop
from latentlab.train.loop import LoopConfig, TrainingError, train

CPU = torch.device("cpu")
CONFIG = LoopConfig(steps=20, batch_size=8, learning_rate=1e-2, warmup=3, save_every=4, workers=0)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def batch_of(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {"x": torch.randn(8, 4, generator=generator), "step": torch.full((8,), step)}


def noisy_loss(net, batch, generator):
    x = batch["x"] + 0.1 * torch.randn(batch["x"].shape, generator=generator)
    error = (net(x)[:, 0] - batch["x"].sum(1)).abs().mean()
    return error, {"error": error}


def run(out: Path, config: LoopConfig = CONFIG, *, make_batch=batch_of, loss=noisy_loss, **options) -> nn.Module:
    return train(network(), make_batch, loss, config, out, device=CPU, **options)


def state(out: Path) -> dict:
    return torch.load(out / "checkpoint.pt", weights_only=True)


def logged(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


# Autograd starts at the first backward and then forks with the process; not so if fake tensors were made before it.
torch.ones(1, requires_grad=True).sum().backward()


def in_a_process(work) -> int:
    """The signal that ended a process which did this work, 0 if none."""
    gc.collect()  # video frames that other tests left behind end in threads, which the child has not got
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()  # of which pytest shows the parent's part alone
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def kill_me(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(step: int):
    def loss(net, batch, generator):
        if batch["step"][0] == step:
            kill_me()
        return noisy_loss(net, batch, generator)

    return loss


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


# --------------------------------------------------------------------------------------------------------------- kills
@pytest.mark.parametrize("step", [2, 9, 19])  # before the first checkpoint, between two, in the last step
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_was_killed_ends_bit_for_bit_as_one_that_was_not(tmp_path, step, workers):
    config = replace(CONFIG, workers=workers)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    undisturbed = run(whole, config)
    assert in_a_process(lambda: run(parts, config, loss=killed_at(step))) == signal.SIGKILL
    resumed = run(parts, config)
    assert same(state(parts), state(whole))
    assert same(resumed.state_dict(), undisturbed.state_dict())


def test_a_kill_while_saving_leaves_the_checkpoint_before_it(tmp_path):
    def work():
        saves = []
        replace_file = os.replace

        def second_is_fatal(source, target):
            saves.append(target)
            return kill_me() if len(saves) == 2 else replace_file(source, target)

        loop.os.replace = second_is_fatal  # this process is about to die
        run(tmp_path / "parts")

    assert in_a_process(work) == signal.SIGKILL
    assert state(tmp_path / "parts")["step"] == 4
    run(tmp_path / "parts")
    run(tmp_path / "whole")
    assert same(state(tmp_path / "parts"), state(tmp_path / "whole"))


def test_a_run_that_is_killed_while_it_draws_a_grid_draws_it_again(tmp_path):
    config, drawn = replace(CONFIG, steps=4, sample_every=2, save_every=2), tmp_path / "drawn"

    def draw(net, step: int) -> None:
        if not drawn.exists():
            drawn.touch()
            kill_me()
        drawn.write_text(f"{drawn.read_text()}{step} ")

    assert in_a_process(lambda: run(tmp_path, config, sample=draw)) != 0
    run(tmp_path, config, sample=draw)
    assert drawn.read_text() == "2 4 "


def test_the_log_has_every_step_once_after_a_kill(tmp_path):
    in_a_process(lambda: run(tmp_path, loss=killed_at(11)))
    assert [line["step"] for line in logged(tmp_path)] == list(range(11))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 11, "lo')  # cut short
    run(tmp_path)
    assert [line["step"] for line in logged(tmp_path)] == list(range(20))


def test_a_finished_run_is_not_trained_further(tmp_path):
    first = run(tmp_path)

    def never(step):
        raise AssertionError("a batch was asked for")

    assert same(run(tmp_path, make_batch=never).state_dict(), first.state_dict())


def test_the_running_mean_is_by_hand(tmp_path):
    """theta' <- d theta' + (1 - d) theta with d = min(decay, (1 + n) / (10 + n)), the first step taken as it is."""
    seen = []

    def loss(net, batch, generator):
        seen.append(net[0].weight.detach().clone())
        return noisy_loss(net, batch, generator)

    mean = run(tmp_path, loss=loss)
    path = [*seen[1:], state(tmp_path)["model"]["0.weight"]]  # weights after each step
    expected = path[0]
    for n, weight in enumerate(path[1:], start=1):
        d = min(CONFIG.ema, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * weight
    torch.testing.assert_close(mean[0].weight, expected, atol=1e-6, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ settings
@pytest.mark.parametrize(("name", "value"), [("seed", 7), ("batch_size", 4), ("learning_rate", 0.5)])
def test_resuming_with_other_settings_is_an_error_that_names_them(tmp_path, name, value):
    run(tmp_path)
    with pytest.raises(ValueError, match=f"other settings \\({name} was .*, is {value}\\); use the same ones or"):
        run(tmp_path, replace(CONFIG, **{name: value}))


ABOUT = {"data": "100 clips", "network": {"widths": (8, 16)}, "flicker": 0.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "90 clips"}, "data was 100 clips, is 90 clips"),
        ({"network": {"widths": (8, 8)}}, r"network.widths was \[8, 16\], is \[8, 8\]"),
        ({"flicker": 0.1, "data": "x" * 200}, r"data was 100 clips, is x{97}\.\.\., flicker was 0.0, is 0.1"),
    ],
)
def test_resuming_another_run_is_an_error_that_names_what_differs(tmp_path, change, said):
    run(tmp_path, replace(CONFIG, steps=2), about=ABOUT)
    run(tmp_path, replace(CONFIG, steps=3), about=ABOUT)
    before = state(tmp_path)
    with pytest.raises(ValueError, match=f"other settings \\({said}\\); use the same ones or another --out"):
        run(tmp_path, about=ABOUT | change)
    assert same(state(tmp_path), before)


def test_a_checkpoint_that_says_less_of_its_run_is_resumed(tmp_path):
    assert in_a_process(lambda: run(tmp_path, loss=killed_at(9))) == signal.SIGKILL  # as all were before
    run(tmp_path, about=ABOUT)
    run(tmp_path / "whole")
    assert same(state(tmp_path)["model"], state(tmp_path / "whole")["model"])
    with pytest.raises(ValueError, match=r"flicker was 0\.0, is 2"):
        run(tmp_path, about=ABOUT | {"flicker": 2.0})


@pytest.mark.parametrize("kept", [{}, {"step": 3}, [1]])
def test_a_checkpoint_that_is_none_is_named_with_what_to_do(tmp_path, kept):
    torch.save(kept, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"checkpoint.pt is no checkpoint .*config.*move it away .* another --out"):
        run(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint.pt is no readable checkpoint.*move it away .* another --out"):
        run(tmp_path)


def test_what_a_run_is_about_does_not_hide_how_it_is_trained(tmp_path):
    run(tmp_path, about={"max_grad_norm": "of another kind"})
    assert json.loads(state(tmp_path)["config"])["max_grad_norm"] == CONFIG.max_grad_norm


def test_the_old_name_of_a_setting_works_with_a_warning():
    with pytest.warns(DeprecationWarning, match="LoopConfig: clip is max_grad_norm"):
        config = LoopConfig(steps=3, clip=0.5)
    assert config.max_grad_norm == 0.5
    with pytest.warns(DeprecationWarning, match="LoopConfig: clip is max_grad_norm"):
        assert config.clip == 0.5
    assert replace(config, steps=4) == LoopConfig(steps=4, max_grad_norm=0.5)
    with pytest.raises(TypeError, match="max_norm"):
        LoopConfig(steps=3, max_norm=0.5)


def test_a_checkpoint_of_version_0_1_is_held_to_its_largest_gradient(tmp_path):
    run(tmp_path)
    old = state(tmp_path)
    settings = json.loads(old["config"])
    settings["clip"] = settings.pop("max_grad_norm")
    torch.save({**old, "config": json.dumps(settings)}, tmp_path / "checkpoint.pt")
    run(tmp_path)  # goes on
    with pytest.raises(ValueError, match=r"max_grad_norm was 1\.0, is 0\.5"):
        run(tmp_path, replace(CONFIG, max_grad_norm=0.5))


def test_resuming_may_change_the_length_and_how_often_to_save(tmp_path):
    run(tmp_path)
    run(tmp_path, replace(CONFIG, steps=23, save_every=1, sample_every=2))
    assert state(tmp_path)["step"] == 23
    assert len(logged(tmp_path)) == 23


def test_the_rate_rises_stays_and_falls_to_zero():
    config = LoopConfig(steps=1000, learning_rate=0.01, warmup=100, decay=0.3)
    rates = [config.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01 / 100)
    assert rates[49] == pytest.approx(0.005)
    assert set(rates[99:701]) == {0.01}
    assert rates[850] == pytest.approx(0.005)
    assert rates[999] == pytest.approx(0.01 / 300)
    assert config.rate(1000) == 0
    assert all(a >= b for a, b in pairwise(rates[700:]))


def test_the_rate_is_used(tmp_path):
    run(tmp_path)
    assert [line["rate"] for line in logged(tmp_path)] == pytest.approx([CONFIG.rate(i) for i in range(20)], abs=1e-7)


def test_an_unknown_precision_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="precision must be 'auto', 'float32' or 'bfloat16', got 'half'"):
        run(tmp_path, replace(CONFIG, precision="half"))


# ------------------------------------------------------------------------------------------------------------- defects
def test_a_loss_that_is_not_a_number_stops_the_run_and_the_checkpoint_is_whole(tmp_path):
    def loss(net, batch, generator):
        value, figures = noisy_loss(net, batch, generator)
        return value * (float("nan") if batch["step"][0] == 10 else 1.0), figures

    with pytest.raises(TrainingError, match=r"became nan at step 10; try a lower .* last good checkpoint is .*goes on"):
        run(tmp_path, loss=loss)
    good = state(tmp_path)
    assert good["step"] == 8
    assert all(value.isfinite().all() for value in good["model"].values())
    run(tmp_path)
    run(tmp_path / "whole")
    assert same(state(tmp_path), state(tmp_path / "whole"))


def test_a_gradient_that_is_not_a_number_never_reaches_a_checkpoint(tmp_path):
    """sqrt(0) has a finite value and an infinite slope; step 11 would be saved at once."""

    def loss(net, batch, generator):
        value, figures = noisy_loss(net, batch, generator)
        return (value + (value - value).sqrt() if batch["step"][0] == 11 else value), figures

    with pytest.raises(TrainingError, match="the gradient became nan at step 11"):
        run(tmp_path, loss=loss)
    good = state(tmp_path)
    assert good["step"] == 8
    assert all(value.isfinite().all() for value in good["model"].values())


def test_before_the_first_checkpoint_the_message_says_so(tmp_path):
    with pytest.raises(TrainingError, match=r"at step 0; .* No checkpoint had been written yet"):
        run(tmp_path, loss=lambda net, batch, generator: (net(batch["x"]).mean() * float("inf"), {}))
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_full_disk_stops_the_run_and_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full_the_third_time(what, path):
        calls.append(path)
        if len(calls) == 3:
            Path(path).write_bytes(b"half a check")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(what, path)

    monkeypatch.setattr(torch, "save", full_the_third_time)
    with pytest.raises(
        TrainingError, match=r"step 12 could not be saved \(.*No space left on device: .*checkpoint\.pt.*\).* last good"
    ):
        run(tmp_path)
    assert state(tmp_path)["step"] == 8
    assert not list(tmp_path.glob(".latentlab-*"))


def test_torchs_own_writer_on_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    """A limit on the size of files makes the writer itself fail, as a full disk does."""
    run(tmp_path, replace(CONFIG, steps=4))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # the log fits, a checkpoint does not
    try:
        with pytest.raises(TrainingError, match="step 8 could not be saved"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert state(tmp_path)["step"] == 4


def test_a_log_that_cannot_be_written_stops_the_run(tmp_path):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"step 0 could not be logged .*No space left on device"):
        loop._log(tmp_path, {"loss": 1.0}, 0, None)


class Awkward(OSError):
    """Cannot be made from a message alone, as the errors of PyAV."""

    def __init__(self, code, message, file):
        super().__init__(code, f"{message}: {file}")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("clip 3 is broken"),
        OSError(5, "clip 3 is broken"),
        Awkward(5, "clip 3 is broken", "a.mp4"),
        KeyError("clip 3 is broken"),
    ],
    ids=["ValueError", "OSError", "Awkward", "KeyError"],
)
def test_data_that_cannot_be_read_stops_the_run_and_is_named(tmp_path, workers, error):
    def broken(step):
        if step == 6:
            raise error
        return batch_of(step)

    with pytest.raises(
        TrainingError, match=r"no batch for step 6: .*clip 3 is broken.* last good checkpoint"
    ) as caught:
        run(tmp_path, replace(CONFIG, workers=workers), make_batch=broken)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert state(tmp_path)["step"] == 4


@pytest.mark.slow
def test_a_worker_that_is_killed_stops_the_run(tmp_path):
    def broken(step):
        if step == 6:
            kill_me()
        return batch_of(step)

    with pytest.raises(TrainingError, match=r"no batch for step [56]: .*(ended|exited unexpectedly).* last good"):
        run(tmp_path, replace(CONFIG, workers=1), make_batch=broken)
    assert state(tmp_path)["step"] == 4


# ----------------------------------------------------------------------------------------------------------------- log
def test_every_line_of_the_log_is_json_and_the_tracker_sees_the_same(tmp_path):
    seen = []
    run(tmp_path, tracker=lambda figures, step: seen.append((step, figures)))
    lines = logged(tmp_path)
    assert [line["step"] for line in lines] == [step for step, _ in seen] == list(range(20))
    assert lines[3].keys() == {"step", "loss", "grad_norm", "error", "rate", "seconds"}
    for line, (_, figures) in zip(lines, seen, strict=True):
        assert line["loss"] == pytest.approx(figures["loss"], abs=1e-6)


def test_a_figure_that_is_infinite_is_null_in_the_log(tmp_path):
    loop._log(tmp_path, {"psnr": float("inf"), "loss": 0.5}, 3, None)
    assert logged(tmp_path) == [{"step": 3, "psnr": None, "loss": 0.5}]


def test_samples_are_drawn_now_and_then_and_at_the_end_from_the_mean(tmp_path):
    seen = []
    config = replace(CONFIG, steps=10, sample_every=4)
    mean = run(tmp_path, config, sample=lambda net, step: seen.append((step, net)))
    assert [step for step, _ in seen] == [4, 8, 10]
    assert same(seen[-1][1].state_dict(), mean.state_dict())


# ------------------------------------------------------------------------------------------------------- two processes
TWO = """
import sys, torch
from pathlib import Path
from torch import nn
from latentlab.train.loop import LoopConfig, device_for_training, train
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
def batch(step):
    return {"x": torch.randn(8, 4, generator=torch.Generator().manual_seed(step))}
def loss(net, batch, generator):
    return (net(batch["x"])[:, 0] - batch["x"].sum(1)).square().mean(), {}
config = LoopConfig(steps=5, batch_size=8, learning_rate=1e-2, warmup=1, workers=0)
train(net, batch, loss, config, Path(sys.argv[1]), device=device_for_training("cpu"))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    def loss(net, batch, generator):
        return (net(batch["x"])[:, 0] - batch["x"].sum(1)).square().mean(), {}

    config = LoopConfig(steps=5, batch_size=8, learning_rate=1e-2, warmup=1, workers=0)
    run(tmp_path / "one", config, loss=loss)
    (tmp_path / "two.py").write_text(TWO)
    path = str(Path(latentlab.__file__).parents[1])
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(
        [*launch, str(tmp_path / "two.py"), str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
    )
    assert len(logged(tmp_path / "two")) == 5
    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    for part in ("model", "ema"):
        for name, value in one[part].items():
            torch.testing.assert_close(two[part][name], value, atol=1e-5, rtol=0)


def test_a_folder_in_which_another_process_trains_is_left_alone(tmp_path):
    run(tmp_path, replace(CONFIG, steps=4))
    before = (tmp_path / "log.jsonl").read_bytes()
    code = (
        "import sys, time; from latentlab.store import claimed\n"
        "with claimed(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline()
        with pytest.raises(BlockingIOError, match=f"in use by process {holder.pid}"):
            run(tmp_path)
    finally:
        holder.kill()
        holder.wait()
    assert (tmp_path / "log.jsonl").read_bytes() == before
    assert [row["step"] for row in logged(tmp_path)] == list(range(4))
