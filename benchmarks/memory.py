"""What jobs take of memory beside the weights: the plan of `study.memory`, made before, and the measured peak.

    python benchmarks/memory.py [--jobs encode,invert,...] [--num-frames 81] [--height 128] [--width 208]

A tiny Wan of random weights on the CPU. A job's peak is the most of the process's own memory (`VmHWM`) above what it
had with the weights loaded and a smaller job done, in a process whose allocator gives memory back as soon as it is
freed. "pipe" is one call of the pipeline itself, at the same steps and guidance, its autoencoder in the same tiles;
"there and back" is invert, sample and the decoding in tiles.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from latentlab.bench.flags import main
from latentlab.bench.pool import each
from latentlab.generator.condition import Condition
from latentlab.generator.pipelines.families import of_pipeline
from latentlab.generator.sampler import Sampler
from latentlab.generator.weightless import network_bytes
from latentlab.spaces import BottleneckSpace, attention
from latentlab.study.memory import memory

MIB = 2**20
ALONE = True
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
SMALL: dict[str, Any] = {"num_frames": 5, "height": 64, "width": 64}
JOBS = ("encode", "invert", "sample", "decode", "roundtrip", "h-space", "attention", "pipe")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    jobs: tuple[str, ...] = JOBS
    num_frames: int = 81
    height: int = 128
    width: int = 208
    num_steps: int = 3
    guidance: float = 3.0
    tile: int = 64  # pixels a side, of "there and back" and the pipe
    seed: int = 0


def run(config: Config) -> dict:
    """Measures in a process of its own, and returns the figures."""
    os.environ |= RETURNING
    (figures,) = each(measured, [(config,)], processes=1)
    return figures


def measured(config: Config) -> dict[str, Any]:
    """The peaks, the plans beside them, in MiB."""
    generator, told = of_pipeline(wan(config.seed), num_frames=config.num_frames, height=config.height,
                                  width=config.width), captions()  # fmt: skip
    sampler = Sampler("leapfrog", config.num_steps, None, config.guidance, 1)
    own, rows = generator.config, {}
    for job in config.jobs:
        if job == "pipe":
            rows["against the pipe"] = against_the_pipe(generator, told, sampler, config)
            continue
        planned = memory(generator, [job], caption=told, sampler=sampler).above[job] / MIB
        generator.config = replace(own, **SMALL)
        peak(job_of(job, generator, told, sampler))  # what libraries load, they load here
        generator.config = own
        found = peak(job_of(job, generator, told, sampler)) / MIB
        rows[job] = {"measured": round(found, 1), "planned": round(planned, 1), "ratio": round(planned / found, 3)}
    return {"weights": sum(network_bytes(generator).values()) / MIB, "MiB": rows}


def against_the_pipe(generator, told: Condition, sampler: Sampler, config: Config) -> dict[str, float]:
    """Invert, sample and decode in tiles, over the pipeline's own call with the same tiles."""
    vae, side, own = generator.coder.vae, config.tile, generator.config
    vae.enable_tiling(side, side, side * 3 // 4, side * 3 // 4)
    generator.config = replace(own, **SMALL)
    peak(job_of("there and back", generator, told, sampler))
    peak(lambda: called(generator, told, replace(config, **SMALL)))
    generator.config = own
    ours = peak(job_of("there and back", generator, told, sampler)) / MIB
    theirs = peak(lambda: called(generator, told, config)) / MIB
    return {"there and back": round(ours, 1), "pipe": round(theirs, 1), "ratio": round(ours / theirs, 3)}


def job_of(name: str, generator, told: Condition, sampler: Sampler) -> Callable[[], object]:
    """A job on a clip of the generator's size, its input included."""
    c = generator.config
    clip, noise = (1, 3, c.num_frames, c.height, c.width), (1, *generator.latent_shape)

    def roundtrip(latents: torch.Tensor) -> object:
        return generator.decode(generator.sample(generator.invert(latents, told, sampler=sampler), told))

    return {
        "encode": lambda: generator.encode(torch.zeros(clip)),
        "invert": lambda: generator.invert(torch.zeros(noise), told, sampler=sampler),
        "sample": lambda: generator.sample(torch.zeros(noise), told, sampler=sampler),
        "decode": lambda: generator.decode(torch.zeros(noise)),
        "roundtrip": lambda: (video := torch.zeros(clip).fill_(0.5), roundtrip(generator.encode(video))),
        "there and back": lambda: roundtrip(torch.zeros(noise)),
        "h-space": lambda: BottleneckSpace(generator, sampler=sampler, caption=told).encode(torch.zeros(clip)),
        "attention": lambda: attention(generator, torch.zeros(noise), told, [0], levels=(0.5,)),
    }[name]


def called(generator, told: Condition, config: Config) -> object:
    """The pipeline's own call."""
    negative = told.negative or told
    return generator.pipe(
        prompt_embeds=told.tokens, negative_prompt_embeds=negative.tokens, num_frames=config.num_frames,
        height=config.height, width=config.width, num_inference_steps=config.num_steps,
        guidance_scale=config.guidance, output_type="pt", generator=torch.Generator().manual_seed(config.seed),
    )  # fmt: skip


def peak(job: Callable[[], object]) -> int:
    """The most bytes that this process has while it does a job, above those that it had before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    with torch.no_grad():
        answer = job()
    found = _bytes("VmHWM") - before
    del answer
    return found


def _bytes(name: str) -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def wan(seed: int) -> Any:
    """A tiny Wan without text encoder; an autoencoder of four channels, a transformer of four layers."""
    import diffusers

    torch.manual_seed(seed)
    vae = diffusers.AutoencoderKLWan(
        base_dim=4, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=24, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=64, ffn_dim=384, num_layers=4, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=64,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    nothing: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder"))  # captions are told as tokens
    return diffusers.WanPipeline(vae=vae, transformer=transformer, scheduler=scheduler, **nothing)


def captions() -> Condition:
    """Random embeddings of 512 tokens, of a caption and of a negative one."""
    draw = torch.Generator().manual_seed(0)
    tokens, other = torch.randn(2, 1, 512, 32, generator=draw)
    return Condition(tokens, negative=Condition(other))


if __name__ == "__main__":
    main(run)
