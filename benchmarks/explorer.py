"""How soon does the explorer's picture follow its slider, and does a fast hand build a queue?

    python benchmarks/explorer.py [--spaces VectorSpace,LatentSpace,NoiseSpace] [--moves 30]

A Jupyter kernel with two threads runs the explorer; this script plays the browser: it sends the messages of a dragged
slider and waits for those that bring the picture. The VAE of VectorSpace has random weights, which take as long.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

from latentlab.bench.flags import main

BARS = {"VectorSpace": 0.15, "LatentSpace": 0.25, "NoiseSpace": 1.0}  # seconds to a new picture

SETUP = """
import json, time
import numpy as np, torch
import latentlab
from latentlab.data import moving_shapes
from latentlab.directions import Direction
torch.set_num_threads({threads})
def vector():
    from latentlab.generator.vector_vae import VectorVAEConfig, VectorVAE
    from latentlab.spaces import VectorSpace
    torch.manual_seed(0)
    vae = VectorVAE(VectorVAEConfig()).eval()
    return VectorSpace(vae, num_frames=None if vae.config.num_frames > 1 else 16)
make = dict(
    VectorSpace=vector,
    LatentSpace=lambda: latentlab.LatentSpace(latentlab.load()),
    NoiseSpace=lambda: latentlab.NoiseSpace(latentlab.load(), method="leapfrog"),
)
space = make[{space!r}]()
clip, _ = moving_shapes(1, seed=5)
codes = space.encode(clip)
vector = np.random.default_rng(0).normal(size=codes.shape[1])
push = Direction("push", vector / np.linalg.norm(vector), float(codes.std()))
explorer = latentlab.explore(space, {{"push": push}}, clip=clip)
explorer.wait()
print("told", json.dumps([explorer.sliders["push"].model_id, explorer._screen.model_id]))
"""

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to time."""

    spaces: tuple[str, ...] = tuple(BARS)
    moves: int = 30
    threads: int = 2


def run(config: Config) -> dict[str, Any]:
    """Times every space and returns the figures."""
    return {"spaces": {name: measure(name, config) for name in config.spaces}}


def measure(space: str, config: Config) -> dict[str, Any]:
    """One space: median seconds over single moves, and what fifty moves in two seconds leave to be done."""
    page = Page(SETUP.format(space=space, threads=config.threads))
    try:
        before = page.ask("time.process_time()")
        waits = [page.move(0.1 + 2.8 * i / config.moves) for i in range(config.moves)]
        # the full picture after the preview belongs to the move as well
        processor = (page.ask("(explorer.wait(), time.process_time())[1]") - before) / config.moves
        flood = page.flood(50, 2.0)
    finally:
        page.close()
    median = statistics.median(waits)
    slowest = max(waits)
    row = {"median_seconds": round(median, 3), "slowest_seconds": round(slowest, 3), "bar_seconds": BARS[space]}
    return {**row, "processor_seconds_a_move_full_picture_too": round(processor, 3), **flood}


class Page:
    """The browser's end of a kernel with an explorer."""

    def __init__(self, code: str) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.slider, self.screen = json.loads(self.run(code).split("told ", 1)[1])

    def run(self, code: str) -> str:
        """What a cell prints."""
        printed: list[str] = []

        def note(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, output_hook=note, timeout=600)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"]["traceback"]))
        return "".join(printed)

    def ask(self, expression: str) -> Any:
        """What an expression is worth in the kernel."""
        return json.loads(self.run(f"print('told', json.dumps({expression}))").split("told ", 1)[1])

    def send(self, value: float) -> None:
        """One message of a dragged slider."""
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        message = self.client.session.msg("comm_msg", {"comm_id": self.slider, "data": data})
        self.client.shell_channel.send(message)

    def move(self, value: float) -> float:
        """Seconds from a move to its picture, the first of them where a preview comes before the full one."""
        self.ask("explorer.wait()")
        while self.client.iopub_channel.msg_ready():
            self.client.get_iopub_msg(timeout=1)
        began = time.perf_counter()
        self.send(value)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            content = message["content"]
            if message["msg_type"] == "comm_msg" and content["comm_id"] == self.screen:
                return time.perf_counter() - began

    def flood(self, moves: int, seconds: float) -> dict[str, Any]:
        """Many moves in little time: what is computed after the last, and what is on the screen then."""
        self.run("counted = []\nexplorer.sliders['push'].observe(lambda c: counted.append(explorer._worker.computed))")
        for i in range(moves):
            self.send(-0.1 - 2.8 * i / moves)
            time.sleep(seconds / moves)
        began = time.perf_counter()
        state = self.ask("(explorer.wait(), explorer._worker.computed - counted[-1], dict(explorer.setting.strengths))")
        last = -0.1 - 2.8 * (moves - 1) / moves
        shown = abs(state[2]["push"] - last) < 0.06  # a slider rounds to its step
        again = self.ask("float((explorer.drawing.draw(explorer.setting).video - explorer.video).abs().max())")
        return {
            "moves": moves,
            "computed_after_the_last": state[1],
            "seconds_until_quiet": round(time.perf_counter() - began, 2),
            "last_value_shown": shown and again < 1e-3,
        }

    def close(self) -> None:
        """Ends the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main(run)
