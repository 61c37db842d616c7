"""What may be the first call to a fresh pipeline, and what two threads may ask of one."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

from generator.pipelines.pipelines import FAMILIES, condition
from generator.test_lock import together

import latentlab as ll
from latentlab.directions import JacobianSVD
from latentlab.spaces import BottleneckSpace


def fresh(family: str):
    """The pipeline in memory, unasked so far, and the condition that it takes."""
    tiny = FAMILIES[family]()
    generator = ll.load(tiny.pipe, device="cpu")
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    return generator, condition(tiny, generator)


@pytest.mark.parametrize("family", ["modelscope", "cogvideox-2b"])
def test_a_jacobian_may_be_the_first_to_ask(family):
    generator, told = fresh(family)
    shape = generator.latent_shape

    def velocity(codes: torch.Tensor) -> torch.Tensor:
        return generator.predict(codes.reshape(-1, *shape), 0.6, told.expand(len(codes))).flatten(1)

    codes = torch.randn(2, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0))
    found = JacobianSVD(function=velocity, count=1, block=1, blocks=4).fit(codes)
    # The gain is that of the network along the direction, by a difference of two calls.
    way = torch.from_numpy(found["jacobian0"].vector).float()
    with torch.no_grad():
        ends = [velocity(codes[:1] + side * 1e-2 * way) for side in (-1, 1)]
    assert float((ends[1] - ends[0]).norm() / 2e-2) == pytest.approx(found.gain_[0], rel=0.02)


def test_two_threads_in_the_h_space_of_a_pipeline_get_what_one_gets():
    generator, told = fresh("wan")
    frames, height, width = generator.config.num_frames, generator.config.height, generator.config.width
    clips = torch.rand(2, 3, frames, height, width, generator=torch.Generator().manual_seed(2)) * 2 - 1
    works = []
    for clip, by in zip(clips.split(1), (1.0, -2.0), strict=True):
        space = BottleneckSpace(generator, num_steps=2, caption=told).around(clip)
        codes = space.codes
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(7))
        works.append(lambda space=space, codes=codes + by * noise: space.decode(codes))
    alone = [work() for work in works]
    assert not torch.equal(*alone)
    for made, known in zip(together(*works, times=3), alone, strict=True):
        assert all(torch.equal(one, known) for one in made)
