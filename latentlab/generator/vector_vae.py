"""The vector VAE: a frame or a whole clip becomes one short code, whose dimensions are meant to be read one by one.

One encoder-decoder for every objective of `latentlab.train.objectives`. The decoder draws each patch of pixels from
the code and its place (spatial broadcast, Watters et al. 2019), so that position is easy to put on axes of its own.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.networks import VectorVAEConfig
from latentlab.shapes import Codes, Video
from latentlab.weights import read_network, shipped

PATCH = 4  # pixels on a side that enter and leave the convolutions as one
STEP = 0.25  # halves of a picture that it moves for one standard deviation of a dim that moves it
PERIOD = 2 * 3**0.5  # of a ring dim: uniform over one period, its variance is 1 as that of the other dims


class VectorVAE(nn.Module):
    """VAE of frames or clips with a short code, pixels Bernoulli (Kingma & Welling 2014; Higgins et al. 2017).

    With `motion_dims`, the static code comes from the mean of all frames, which knows no order, and each frame has a
    motion code beside it (as Li & Mandt 2018 split a sequence), whose prior changes slowly from frame to frame. Rings
    (Falorsi et al. 2018, for circles) are uniform under the prior, their posterior a normal wrapped around the circle.

    It is a space: `encode` gives codes `(sample, dim)`, `decode` clips.

    >>> vae = VectorVAE(VectorVAEConfig(dims=3, size=(16, 16), width=8, hidden=16))
    >>> vae.decode(vae.encode(torch.zeros(2, 3, 1, 16, 16))).shape
    torch.Size([2, 3, 1, 16, 16])
    """

    place: Tensor

    def __init__(self, config: VectorVAEConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or VectorVAEConfig()
        rows, columns = c.size[0] // PATCH, c.size[1] // PATCH
        self.see = nn.Sequential(
            nn.PixelUnshuffle(PATCH),
            nn.Conv2d(4 * PATCH**2, c.width, 2, stride=2),
            nn.SiLU(),
            nn.Conv2d(c.width, 2 * c.width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * c.width * rows * columns // 16, c.hidden),
            nn.SiLU(),
        )
        frames_at_once = 1 if c.motion_dims else c.num_frames
        self.static_head = _head(frames_at_once * c.hidden, c.hidden, 2 * c.dims + c.rings)
        self.motion_head = _head(2 * c.hidden, c.hidden, 2 * c.motion_dims) if c.motion_dims else None
        with_time = c.num_frames > 1 and not c.motion_dims  # a motion code must carry all that time changes
        self.register_buffer("place", _places(c.num_frames, rows, columns, with_time), False)
        features = 7 * self.place.shape[1]
        tells = c.dims + c.rings + c.motion_dims - 2 * c.moves
        self.modulate = _head(tells, c.hidden, 4 * c.width)
        self.colours = _head(tells, c.hidden, 6)
        self.draw_place = nn.Conv2d(features, c.width, 1)
        self.draw = nn.Conv2d(c.width, c.width, 1)
        self.finish = nn.Sequential(
            nn.Conv2d(c.width, c.width, 1),
            nn.SiLU(),
            nn.Conv2d(c.width, 4 * PATCH**2, 1),
            nn.PixelShuffle(PATCH),
        )

    def encode(self, video: Video) -> Codes:
        """The mean of the posterior, `(sample, dim)`."""
        return self.posterior(video)[0]

    def decode(self, codes: Codes) -> Video:
        """The mean clip of codes, in [-1, 1]."""
        return 2 * self.logits(codes).sigmoid() - 1

    def posterior(self, video: Video) -> tuple[Codes, Codes]:
        """Mean and log-variance of q(code | video).

        Raises:
            ValueError: clips of another length or size.
        """
        c = self.config
        if video.ndim != 5 or video.shape[1:] != (3, c.num_frames, *c.size):
            raise ValueError(
                f"this VAE codes clips (batch, 3, {c.num_frames}, {c.size[0]}, {c.size[1]}), got {tuple(video.shape)}"
            )
        frames = rearrange(video, "b c f h w -> (b f) c h w")
        # Beside the colours, how far each is from the frame's mean: where something is, whatever its colour.
        apart = (frames - frames.mean((2, 3), keepdim=True)).square().sum(1, keepdim=True)
        seen = rearrange(self.see(torch.cat([frames, apart], 1)), "(b f) d -> b f d", b=len(video))
        whole = seen.mean(1)
        static = self.static_head(whole if c.motion_dims else seen.flatten(1))
        mean, logvar, sines = static.split((c.dims, c.dims, c.rings), dim=1)
        turned = torch.atan2(sines, mean[:, : c.rings]) * (PERIOD / (2 * torch.pi))
        mean = torch.cat([turned, mean[:, c.rings :]], dim=1)
        if self.motion_head is not None:
            beside = torch.cat([seen, repeat(whole, "b d -> b f d", f=c.num_frames)], dim=2)
            motion_mean, motion_logvar = self.motion_head(beside).chunk(2, dim=2)
            mean = torch.cat([mean, motion_mean.flatten(1)], dim=1)
            logvar = torch.cat([logvar, motion_logvar.flatten(1)], dim=1)
        return mean, logvar.clamp(-12, 6)

    def logits(self, codes: Codes) -> Video:
        """Log-odds of each pixel being bright."""
        if codes.ndim != 2 or codes.shape[1] != self.config.code_dims:
            raise ValueError(f"codes must be (sample, {self.config.code_dims}), got {tuple(codes.shape)}")
        code = self.by_frame(codes)
        where = repeat(self.place, "f d h w -> b f d h w", b=len(codes))
        if self.config.moves:  # the place is moved the other way (spatial-VAE, Bepler et al. 2019)
            where = torch.cat([where[:, :, :2] - STEP * code[..., -2:, None, None], where[:, :, 2:]], dim=2)
            code = code[..., :-2]
        angle = code[..., : self.config.rings] * (2 * torch.pi / PERIOD)
        told = torch.cat([2**0.5 * angle.cos(), 2**0.5 * angle.sin(), code[..., self.config.rings :]], dim=2)
        knobs = rearrange(self.modulate(told), "b f (n d) -> n b f d 1 1", n=4)
        place = self.draw_place(rearrange(_waves(where), "b f d h w -> (b f) d h w"))
        place = rearrange(place, "(b f) d h w -> b f d h w", b=len(codes))
        # Scales beside shifts (Perez et al. 2018): an object is a product, its colour where it is and none elsewhere.
        x = rearrange(F.silu(place * (1 + knobs[0]) + knobs[1]), "b f d h w -> (b f) d h w")
        scale, shift = (rearrange(knob, "b f d h w -> (b f) d h w") for knob in knobs[2:])
        x = F.silu(self.draw(x) * (1 + scale) + shift)
        mask, rest = self.finish(x).split((1, 3), dim=1)
        # Two colours, one before the other, and what they leave: a flat object and its ground are learned at once.
        front, back = rearrange(self.colours(told), "b f (n c) -> n (b f) c 1 1", n=2)
        drawn = back + mask.sigmoid() * (front - back) + rest
        return rearrange(drawn, "(b f) c h w -> b c f h w", b=len(codes))

    def by_frame(self, codes: Codes) -> Float[Tensor, "sample frame dim"]:
        """What draws each frame: the static code with that frame's motion code."""
        c = self.config
        static = repeat(codes[:, : c.dims], "b d -> b f d", f=c.num_frames)
        motion = rearrange(codes[:, c.dims :], "b (f d) -> b f d", f=c.num_frames)
        return torch.cat([static, motion], dim=2)

    def kl(self, mean: Codes, logvar: Codes) -> Float[Tensor, " sample"]:
        """KL divergence of the posterior from the prior, nats.

        The static code is N(0, 1), its rings uniform; motion a stationary walk m' = r m + sqrt(1 - r^2) e, N(0, 1) at
        every frame.
        """
        c = self.config
        lines = slice(c.rings, c.dims)
        found = _kl_of_ring(logvar[:, : c.rings]).sum(1) + _kl(mean[:, lines], logvar[:, lines], 0, 1).sum(1)
        if not c.motion_dims:
            return found
        m, v = (rearrange(part[:, c.dims :], "b (f d) -> b f d", f=c.num_frames) for part in (mean, logvar))
        r, left = c.smoothness, 1 - c.smoothness**2
        first = _kl(m[:, 0], v[:, 0], 0, 1).sum(1)
        # The frame before is uncertain too: its variance adds to the square of the step.
        steps = _kl(m[:, 1:], v[:, 1:], r * m[:, :-1], left) + 0.5 * r**2 * v[:, :-1].exp() / left
        return found + first + steps.sum((1, 2))


@clear_errors
def load_vector_vae(folder: str | Path | None = None) -> VectorVAE:
    """A trained VAE.

    Args:
        folder: of its training run; None is the one that ships with latentlab, for single frames of moving shapes.

    Raises:
        FileNotFoundError: there is none.
    """
    if folder is None:
        with shipped() as own:
            return load_vector_vae(own)
    path = Path(folder) / "vector_vae.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"no vector VAE at {path}; `latentlab train vector-vae --out FOLDER` makes one")
    vae = read_network(path, lambda config: VectorVAE(VectorVAEConfig(**{**config, "size": tuple(config["size"])})))
    return vae.eval().requires_grad_(False)


def _head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def _places(frames: int, rows: int, columns: int, with_time: bool) -> Float[Tensor, "frame axis row column"]:
    """x, y and, if asked for, time of each patch, -1 to 1."""
    t, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (frames, rows, columns)), indexing="ij")
    return torch.stack([x, y, t] if with_time else [x, y], dim=1)


def _waves(place: Float[Tensor, "sample frame axis row column"]) -> Float[Tensor, "sample frame feature row column"]:
    """Places with waves of three lengths: edges are learned sooner."""
    waves = [wave(k * torch.pi * place) for k in (0.5, 1.0, 2.0) for wave in (torch.sin, torch.cos)]
    return torch.cat([place, *waves], dim=2)


def _kl(mean: Tensor, logvar: Tensor, prior_mean: Tensor | float, prior_variance: float) -> Tensor:
    """KL of N(mean, exp logvar) from N(prior_mean, prior_variance), entry by entry."""
    ratio = (logvar.exp() + (mean - prior_mean) ** 2) / prior_variance
    return 0.5 * (ratio - 1 - logvar + torch.tensor(prior_variance).log().item())


def _kl_of_ring(logvar: Tensor) -> Tensor:
    """KL of a wrapped normal from the uniform: the larger of its limits for narrow and wide ones, 0.03 nats off."""
    deviation = 2 * torch.pi / PERIOD * (0.5 * logvar).exp()  # radians
    return torch.maximum(0.5 * math.log(2 * math.pi / math.e) - deviation.log(), (-deviation.square()).exp())
