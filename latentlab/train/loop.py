"""One training loop for all models: resumable to the bit, atomic, on one device or under `torchrun`.

Everything random about step k comes from `(seed, k)`: its batch, its noise, its dropout. So a run that was killed
and one that never stopped take the same steps, and a checkpoint needs no generator states.
"""

from __future__ import annotations

import gc
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from latentlab.store import claimed, replacing, write_text
from latentlab.train.settings import LoopConfig
from latentlab.weights import read_pickled

Batch = dict[str, Tensor]
TrainedNetwork = TypeVar("TrainedNetwork", bound=nn.Module)
Tracker = Callable[[dict[str, float], int], Any]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and where the last good checkpoint is."""


class _Steps(Dataset):
    """Batches by step number, so that a loader's workers can run ahead from any step."""

    def __init__(self, make_batch: Callable[[int], Batch], first: int, last: int) -> None:
        self.make_batch, self.first, self.last = make_batch, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, i: int) -> Batch:
        return self.make_batch(self.first + i)


def train(
    model: TrainedNetwork,
    make_batch: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch, torch.Generator], tuple[Tensor, dict[str, Tensor]]],
    config: LoopConfig,
    out: Path,
    *,
    device: torch.device,
    about: Mapping[str, Any] | None = None,
    tracker: Tracker | None = None,
    sample: Callable[[nn.Module, int], None] | None = None,
) -> TrainedNetwork:
    """Trains `model` and returns its running mean, resuming from `out/checkpoint.pt` if there is one.

    Args:
        model: what to train; initialise it from the seed before the call.
        make_batch: batch of a step; a pure function, called in worker processes.
        loss: `(model, batch, generator) -> (loss, figures to log)`.
        config: how.
        out: folder of `checkpoint.pt` and `log.jsonl`.
        device: where.
        about: what else makes this run what it is, plain values; a run goes on only where its checkpoint has the same.
        tracker: called as `tracker(figures, step)` beside the log file.
        sample: called as `sample(ema_model, step)` every `sample_every` steps and at the end.

    Raises:
        TrainingError: the loss is not finite, a batch cannot be made, or the disk is full.
        ValueError: `out` holds a run of other settings.
        BlockingIOError: another process trains there.
    """
    rank, world = rank_and_world()
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    model.to(device)
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=_ema_update(config.ema))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=0.0, weight_decay=config.weight_decay, betas=(0.9, 0.99))
    settings = json.loads(json.dumps({**(about or {}), **asdict(config)}))  # as a checkpoint gives them back
    with claimed(out) if rank == 0 else nullcontext():
        start = _resume(checkpoint, model, ema, optimizer, settings, device)
        if rank == 0:
            _drop_from_log(out / "log.jsonl", start)
        wrapped = DistributedDataParallel(model) if world > 1 else model
        autocast = _autocast(config.precision, device)
        began, seen = time.perf_counter(), 0
        with tqdm(total=config.steps, initial=start, disable=rank > 0 or None, desc=out.name, mininterval=1.0) as bar:
            for step, batch in _batches(make_batch, start, config, checkpoint):
                for group in optimizer.param_groups:
                    group["lr"] = config.rate(step)
                batch = {name: value[rank::world].to(device, non_blocking=True) for name, value in batch.items()}
                generator = torch.Generator(device).manual_seed((config.seed * 1_000_003 + step) * 4096 + rank)
                with autocast:
                    value, figures = loss(wrapped, batch, generator)
                if not math.isfinite(value.item()):
                    raise TrainingError(
                        f"the loss became {value.item()} at step {step}; try a lower learning rate than "
                        f"{config.learning_rate}. {_last_good(checkpoint)}"
                    )
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                norm = nn.utils.clip_grad_norm_(learned, config.max_grad_norm)
                if not math.isfinite(norm.item()):  # a step with it would spoil the weights, and the next checkpoint
                    raise TrainingError(f"the gradient became {norm.item()} at step {step}. {_last_good(checkpoint)}")
                optimizer.step()
                ema.update_parameters(model)
                seen += 1
                done = step + 1
                if rank == 0:
                    figures = {
                        name: x.detach().item() for name, x in {"loss": value, "grad_norm": norm, **figures}.items()
                    }
                    figures |= {"rate": config.rate(step), "seconds": (time.perf_counter() - began) / seen}
                    bar.set_postfix({"loss": f"{figures['loss']:.4g}"}, refresh=False)
                    bar.update()
                    _log(out, figures, step, tracker)
                    if sample and (done % config.sample_every == 0 or done == config.steps):
                        sample(ema.module.eval(), done)  # before the checkpoint: a run killed here draws it again
                    if done % config.save_every == 0 or done == config.steps:
                        _save(checkpoint, done, model, ema, optimizer, settings)
    return cast(TrainedNetwork, ema.module.eval())


def device_for_training(name: str = "auto") -> torch.device:
    """The device of this process; under `torchrun` it joins the group and takes the GPU of its local rank."""
    world = rank_and_world()[1]
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def rank_and_world() -> tuple[int, int]:
    """Number of this process and of all, as `torchrun` tells them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def is_main_process() -> bool:
    """Whether this process writes files."""
    return rank_and_world()[0] == 0


def _ema_update(decay: float) -> Callable:
    """theta' <- d theta' + (1 - d) theta, with d rising from 0 so that early weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        d = min(decay, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(list(averaged), list(current), 1 - d)

    return update


def _autocast(precision: str, device: torch.device) -> torch.autocast:
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision must be 'auto', 'float32' or 'bfloat16', got {precision!r}")
    on = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


def _batches(
    make_batch: Callable[[int], Batch], start: int, config: LoopConfig, checkpoint: Path
) -> Iterator[tuple[int, Batch]]:
    loader = DataLoader(
        _Steps(make_batch, start, config.steps), batch_size=None, num_workers=config.workers, prefetch_factor=None
    )
    # A worker that is forked and then collects a decoded video frame of this process waits for threads it has not got.
    gc.collect()
    with _deaths_not_raised():
        batches = iter(loader) if start < config.steps else iter(())
    for step in range(start, config.steps):
        try:
            yield step, next(batches)
        except (EOFError, ConnectionError) as error:  # it ended with the batch in its hands
            gone = "the process that prepares batches ended, killed or out of memory"
            raise TrainingError(f"no batch for step {step}: {gone}. {_last_good(checkpoint)}") from error
        except Exception as error:
            # What a worker raises carries its whole traceback as the message; the last line says what happened.
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise TrainingError(f"no batch for step {step}: {reason[0]}. {_last_good(checkpoint)}") from error


@contextmanager
def _deaths_not_raised() -> Iterator[None]:
    """Loaders that begin here tell of a worker's death when they are asked for a batch, and then alone.

    The signal handler that torch sets for it raises wherever this process is: while it saves, or in its user's code
    long after. torch sets it once a process: later loaders do as these, and where one of a user's was first it stays.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


def _resume(checkpoint: Path, model, ema, optimizer, settings: dict[str, Any], device: torch.device) -> int:
    if not checkpoint.exists():
        return 0
    state = _checkpoint(checkpoint, device)
    may_differ = {"steps", "decay", "save_every", "sample_every", "workers"}
    then, now = _flat(json.loads(state["config"])), _flat(settings)  # an older checkpoint says less
    then.setdefault("max_grad_norm", then.get("clip", now["max_grad_norm"]))  # its name in version 0.1
    if changed := [k for k in sorted(now.keys() & then.keys() - may_differ) if then[k] != now[k]]:
        was = ", ".join(f"{k} was {_brief(then[k])}, is {_brief(now[k])}" for k in changed)
        raise ValueError(f"{checkpoint} was made with other settings ({was}); use the same ones or another --out")
    model.load_state_dict(state["model"])
    ema.load_state_dict(state["ema"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `_save` wrote.

    Raises:
        ValueError: a file that is damaged, or none of a training.
    """
    cure = "move it away to begin anew, or give another --out"
    try:
        state = read_pickled(path, "checkpoint", device=device)
    except ValueError as error:
        raise ValueError(f"{error}; {cure}") from error
    lacks = {"step", "config", "model", "ema", "optimizer"} - (state.keys() if isinstance(state, dict) else set())
    if lacks:
        raise ValueError(f"{path} is no checkpoint of a training, it holds no {', '.join(sorted(lacks))}; {cure}")
    return state


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _save(checkpoint: Path, step: int, model, ema, optimizer, settings: dict[str, Any]) -> None:
    state = {
        "step": step,
        "config": json.dumps(settings),
        "model": model.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    try:
        with replacing(checkpoint) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        raise TrainingError(f"step {step} could not be saved ({error}). {_last_good(checkpoint)}") from error


def _last_good(checkpoint: Path) -> str:
    if not checkpoint.exists():
        return "No checkpoint had been written yet."
    return f"The last good checkpoint is {checkpoint}; the same command goes on from there."


def _log(out: Path, figures: dict[str, float], step: int, tracker: Tracker | None) -> None:
    plain = {k: round(v, 7) if math.isfinite(v) else None for k, v in figures.items()}  # JSON knows no infinity
    try:
        with (out / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **plain}) + "\n")
    except OSError as error:
        last = _last_good(out / "checkpoint.pt")
        raise TrainingError(f"step {step} could not be logged ({error}). {last}") from error
    if tracker:
        tracker(figures, step)


def _drop_from_log(log: Path, start: int) -> None:
    """Forgets the steps from `start` on: a killed run logged some beyond its checkpoint, the last cut short."""

    def stays(line: str) -> bool:
        try:
            return json.loads(line)["step"] < start
        except (ValueError, KeyError, TypeError):
            return False

    if log.exists():
        lines = log.read_text().splitlines()
        write_text(log, "".join(line + "\n" for line in lines if stays(line)))
