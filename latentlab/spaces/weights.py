"""A space of adapters: a code is where an adapter lies among others, whatever factors its products are written in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.adapter import Adapter
from latentlab.generator.generator import Generator
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.shapes import Codes, Latents, Video, check_video
from latentlab.spaces.products import Products, combined, inner, products_of
from latentlab.spaces.space import Described

SMALLEST = 1e-5  # of the largest singular value; what lies below is rounding of float32
FIT_LEVELS = (0.9, 0.7, 0.5)  # flow times at which a clip is held against the field of a code


class WeightSpace(Described):
    """Coordinates of adapters in the joint singular value decomposition of their products.

    The rows of D are what adapters add to all weights, vec((alpha / r) B A) layer after layer. With D - mean = U S V',
    the code of an adapter is its row of U S, and a code c decodes to the adapter mean + V c (weights2weights, Dravid
    et al. 2024, which takes A and B for coordinates: those depend on how a product is split, and no product is the mean
    of two). D is never formed: its inner products are sums over layers of tr(A_i' B_i' B_j A_j), and each decoded
    product is a combination of those that were given, exactly of the rank that they have together.

    A code becomes a clip that its adapter draws of one noise, under one caption. A clip has the code whose field fits
    it best: the maximum a posteriori of ||noise - clean - v_c||^2 under codes as spread as the adapters', by
    Gauss-Newton from their mean.

    Args:
        generator: that the adapters are of.
        adapters: two at least, low-rank, without words of their own.
        dims: how many coordinates, those of the largest singular values; None is all.
        caption: under which clips are drawn and encoded.
        rank: of decoded adapters, the nearest; None is exact.
        seed: of the noise.
        sampler: see `Generator.generate`; `num_steps` and `guidance` change one setting each.

    Attributes:
        codes: of the adapters, `(adapter, dim)`.
        explained: share of the squared distances from the mean that each coordinate holds, `(dim,)`.

    Raises:
        ValueError: fewer than two adapters, adapters that are all alike, of another model, or that hold whole
            differences (`latentlab.control.extract` makes low-rank ones) or words.

    >>> import latentlab as ll
    >>> from latentlab.generator.update import LowRank
    >>> generator = ll.load(device="cpu")
    >>> def adapter(k):
    ...     return ll.Adapter({"middle.space.modulate": LowRank(torch.ones(1, 128), torch.full((256, 1), k), 1.0)})
    >>> space = WeightSpace(generator, [adapter(0.0), adapter(0.1), adapter(0.2)], num_steps=1)
    >>> space.shape, space.decode(space.codes[:1]).shape
    ((1,), torch.Size([1, 3, 16, 64, 64]))
    """

    axes = ("dim",)

    @clear_errors
    def __init__(
        self,
        generator: Generator,
        adapters: Sequence[Adapter],
        *,
        dims: Count | None = None,
        caption: str = "",
        rank: Count | None = None,
        seed: Seed = 0,
        sampler: Sampler = DRAW,
        num_steps: Count | None = None,
        guidance: float | None = None,
    ) -> None:
        if len(adapters) < 2:
            raise ValueError(f"a space of weights lies between adapters, two at least, got {len(adapters)}")
        self.generator, self.caption, self.rank, self.seed = generator, caption, rank, seed
        self.sampler = sampler.but(num_steps=num_steps, guidance=guidance)
        self.adapters, self.condition = tuple(adapters), generator.condition(caption)
        self.products = [products_of(adapter, generator) for adapter in adapters]
        self.places = sorted({place for products in self.products for place in products})
        gram = self._inner(self.products)
        self.middle = gram.mean(1)
        centred = gram - self.middle[:, None] - self.middle[None] + gram.mean()
        squares, vectors = torch.linalg.eigh(centred)
        squares, vectors = squares.flip(0).clamp(min=0), vectors.flip(1)
        count = int((squares > (SMALLEST**2) * squares[0]).sum()) if squares[0] > 0 else 0
        if not count:
            raise ValueError(f"the {len(adapters)} adapters are all alike; there is nothing between them")
        count = min(count, len(adapters) - 1, dims or count)
        largest = vectors[:, :count].abs().argmax(0)
        self.vectors = vectors[:, :count] * vectors[largest, range(count)].sign()  # a sign that does not hang on luck
        self.singular = squares[:count].sqrt()
        self.codes = (self.vectors * self.singular).float()
        self.explained = (squares[:count] / squares.sum()).float()
        self.spread = self.singular / len(adapters) ** 0.5
        self.shape = (count,)

    def settings(self) -> dict[str, Any]:
        return {
            "weights": self.generator.fingerprint(),
            "adapters": [adapter.digest for adapter in self.adapters],
            "caption": self.caption,
            "rank": self.rank,
            "seed": self.seed,
            "sampler": asdict(self.sampler),
        }

    @clear_errors
    def encode_adapters(self, adapters: Sequence[Adapter]) -> Codes:
        """Codes `(adapter, dim)` of adapters: of what lies outside of the space, the nearest point in it."""
        inner = self._inner([products_of(adapter, self.generator) for adapter in adapters])
        return ((inner - self.middle) @ self.vectors / self.singular).float()

    @clear_errors
    def adapter(self, code: Float[Tensor, " dim"], name: str = "code") -> Adapter:
        """The adapter of a code, to be saved, scaled, or put beside others.

        Args:
            code: of this space.
            name: under which records know it.
        """
        self.unflatten(code[None])
        shares = 1 / len(self.adapters) + self.vectors @ (code.double().cpu() / self.singular)
        updates = {}
        for place in self.places:
            held = [
                (share, row[place]) for share, row in zip(shares.tolist(), self.products, strict=True) if place in row
            ]
            updates[place] = combined(held, self.rank)
        base = self.adapters[0].about.get("base", {})
        return Adapter(updates, about={"kind": "weight space", **({"base": base} if base else {})}, name=name)

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips that the codes' adapters draw, all of one noise."""
        self.unflatten(codes)
        noise = self.generator.noise(1, seed=self.seed)
        drawn = [self._adapted(code).sample(noise, self.condition, sampler=self.sampler) for code in codes]
        return self.generator.decode(torch.cat(drawn))

    @clear_errors
    def encode(self, video: Video, *, passes: Count = 2) -> Codes:
        """Codes `(sample, dim)` of clips: `passes` of Gauss-Newton, each of `dim + 1` calls a level."""
        check_video(video=video)
        return torch.cat([self._fitted(clean, passes) for clean in self.generator.encode(video).split(1)])

    @torch.no_grad()
    def _fitted(self, clean: Latents, passes: int) -> Codes:
        noise = self.generator.noise(1, seed=self.seed).to(clean)
        states = [(torch.lerp(clean, noise, s), s) for s in FIT_LEVELS]

        def field(code: Tensor) -> Tensor:
            velocity = self._adapted(code).velocity(self.condition)
            return torch.cat([velocity(y, s).flatten() for y, s in states]).double().cpu()

        wanted = (noise - clean).flatten().repeat(len(states)).double().cpu()
        return nearest_code(field, wanted, self.spread, passes).float()[None]

    def _adapted(self, code: Tensor) -> Generator:
        return self.generator.adapted({self.adapter(code): 1.0})

    def _inner(self, products: Sequence[Products]) -> Float[Tensor, "given adapter"]:
        """Inner products of some adapters with those of the space, in float64."""
        ours, theirs = ([{p: row.get(p) for p in self.places} for row in rows] for rows in (products, self.products))
        return sum(
            (inner([row[p] for row in ours], [row[p] for row in theirs]) for p in self.places),
            torch.zeros(len(ours), len(theirs), dtype=torch.float64),
        )


def nearest_code(
    field: Callable[[Tensor], Float[Tensor, " value"]],
    wanted: Float[Tensor, " value"],
    spread: Float[Tensor, " dim"],
    passes: int,
) -> Float[Tensor, " dim"]:
    """The most likely code under `wanted = field(code) + noise` and `code ~ N(0, spread^2)`: Gauss-Newton from 0.

    The Jacobian is of differences as wide as the spread, the variance of the noise what no code explains.

    >>> turn = torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]).double()
    >>> nearest_code(lambda c: turn @ c, turn @ torch.tensor([0.5, -0.5]).double(), torch.ones(2).double(), 1)
    tensor([ 0.5000, -0.5000], dtype=torch.float64)
    """
    code = torch.zeros(len(spread), dtype=torch.float64)
    for _ in range(passes):
        here = field(code)
        slopes = torch.stack([field(code + step) - here for step in torch.diag(spread)], 1) / spread
        missing = wanted - here
        least = torch.linalg.lstsq(slopes, missing[:, None]).solution[:, 0]
        variance = (missing - slopes @ least).square().mean().clamp(min=1e-12 * float(missing.square().mean()))
        prior = variance / spread.square()
        code = code + torch.linalg.solve(slopes.T @ slopes + torch.diag(prior), slopes.T @ missing - prior * code)
    return code
