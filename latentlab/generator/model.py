"""A video model: an autoencoder beside a denoiser, and the guides that its velocity goes through."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from latentlab.checks import check, clear_errors
from latentlab.generator.adapted import Strengths, adapting
from latentlab.generator.condition import Condition
from latentlab.generator.config import GeneratorConfig
from latentlab.generator.graph import Graphs
from latentlab.generator.guides import Guide, carried, composed, uncarried
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.shapes import Latents, Mask, Video
from latentlab.store import digest
from latentlab.weights import fingerprint, state_of

# Fingerprints by a model's first network, each with the state of all its weights when it was made.
_FINGERPRINTS: WeakKeyDictionary[nn.Module, tuple[str, str]] = WeakKeyDictionary()


class Model(VelocityModel):
    """An autoencoder, and a denoiser between noise and its latents.

    Of the denoiser it says what `VelocityModel` asks, of the autoencoder how it encodes and decodes.
    """

    config: GeneratorConfig  # what it draws unless told otherwise: size of clips, steps, guidance
    graphs: Graphs | None = None  # of the solver's loops, see `graphed`
    guides: tuple[Guide, ...] = ()  # that its velocity goes through, see `guided`

    @clear_errors
    def adapted(
        self, adapters: Strengths, *, mask: Tensor | None = None, levels: tuple[float, float] | None = None
    ) -> Self:
        """A generator with adapters on, each at a strength; the generator itself and all weights stay as they are.

        A layer's output W x becomes W x + strength (alpha / r) B A x: 1 is as the adapter was trained, 0 is the
        generator to the bit, negative leads the other way, and several add up. Calls can follow one another, each with
        a region and a range of levels of its own. The fingerprint, and with it caches and records, tells adapters,
        strengths, regions and levels.

        Args:
            adapters: strengths by adapter, or by the path of a file, see `Adapter.read`.
            mask: `(frame, height, width)`, or one for each clip, `(clip, 1, frame, height, width)`, of clips or their
                latents: 1 where the adapters act, 0 where the generator is as it was. The network is then called twice.
                None is everywhere.
            levels: flow times between which they act: (0.5, 1) for what is drawn first, its layout. None is all.

        Raises:
            ValueError: an adapter of another model, or of another base of it; two of one name or with one word; a
                compiled network.

        >>> import torch
        >>> import latentlab as ll
        >>> from latentlab.generator.update import LowRank
        >>> generator = ll.load()
        >>> update = LowRank(torch.ones(1, 128), torch.ones(256, 1), alpha=1.0)
        >>> changed = generator.adapted({ll.Adapter({"middle.space.modulate": update}): 0.5})
        >>> changed.fingerprint() == generator.fingerprint()
        False
        """
        own, guide = adapting(self, adapters, mask=mask, levels=levels)
        return own.guided(guide)

    @abstractmethod
    def encode(self, video: Video, *, batch_size: int = 16) -> Latents:
        """Latents of clips, about unit variance: the mode of the posterior."""

    @abstractmethod
    def decode(self, latents: Latents, *, batch_size: int = 16) -> Video:
        """Clips of latents, within [-1, 1]."""

    def hearing(self, condition: Condition, video: Video, hole: Mask) -> Condition | None:
        """The condition with what a network that takes masks is told of clips, and where they are drawn anew.

        None is a network that hears of neither: what is known is held on its way then, see `control.Known`.

        Args:
            condition: one for each clip.
            video: the clips.
            hole: 1 where they are drawn anew, at their size.
        """
        del condition, video, hole
        return None

    def completed(self, latents: Latents, condition: Condition) -> Latents:
        """The latents, with what the condition says of them in its place, as the image that a clip begins with."""
        del condition  # most models are told of clips, not parts of them
        return latents

    @property
    def decode_chunk(self) -> int | None:
        """Frames that are decoded together, for an autoencoder whose clip depends on it; None where it does not."""
        return None

    @property
    def tiles(self) -> dict[str, Any] | None:
        """Sizes of the parts that the autoencoder takes a clip in; None where it takes it whole."""
        return None

    def settings(self) -> dict[str, Any]:
        """What the velocity depends on beside weights, state, level and condition, its guides included, as JSON."""
        guides = [settings for guide in self.guides if (settings := guide.settings())]
        return super().settings() | ({"guides": guides} if guides else {})

    def fingerprint(self) -> str:
        """SHA-256 of all weights, and of the settings if there are any; kept until one of them changes, see `state_of`.

        Asking reads all weights once (12 ms for the shipped model), so that no change of them is missed, whether by an
        optimizer, through `.data`, or by a LoRA that is merged.
        """
        first, state = self.modules[0], state_of(*self.modules)
        if first not in _FINGERPRINTS or _FINGERPRINTS[first][0] != state:
            _FINGERPRINTS[first] = state, fingerprint(*self.modules)
        weights, settings = _FINGERPRINTS[first][1], self.settings()
        if not settings:
            return weights
        return digest(" ".join([weights, *map(str, settings.values())]))

    def guided(self, *guides: Guide) -> Self:
        """A generator of the same networks, whose velocity goes through these guides, after those that it has.

        It samples, inverts and takes clips back as any other; networks are shared, and this generator is left alone.
        What is inverted under guides can be sampled under the same, which returns the clip, or under those and more,
        which edits it.

        Args:
            guides: the first is next to the network; see `latentlab.generator.guides`.

        Raises:
            TypeError: what is no `Guide`.
        """
        for guide in guides:
            if not isinstance(guide, Guide):
                raise TypeError(
                    f"a guide is a latentlab.generator.guides.Guide, and says its settings; got {type(guide).__name__}"
                )
        other = copy.copy(self)
        other.guides = (*self.guides, *(guide.bound(self.unguided) for guide in guides))
        return other

    @property
    def unguided(self) -> Self:
        """The same generator without guides."""
        if not self.guides:
            return self
        other = copy.copy(self)
        other.guides = ()
        return other

    def compile(self, **options: Any) -> Self:
        """The same generator, its networks compiled on their first call; `options` are those of `torch.compile`.

        Compiled kernels round in their own way: a latent inverted before should be sampled without.
        """
        for network in self.modules:
            network.compile(**options)
        return self

    def graphed(self) -> Self:
        """The same generator, which records each new loop of the solver as a CUDA graph and replays it after that.

        A loop is known by its method, levels, guidance and shapes; new captions and noise are no new loop. The implicit
        methods, inversion by "ddpm" and runs with a callback read from the device and go on without.

        Raises:
            ValueError: the weights are not on a CUDA device, or the network reads from it while it works.
        """
        if not self.capturable:
            raise ValueError(
                f"the network of {type(self).__name__} reads from the device while it works, which no CUDA graph can "
                "hold; compile() does not mind"
            )
        if self.device.type != "cuda":
            raise ValueError(f"CUDA graphs need weights on a CUDA device, these are on {self.device}; see compile()")
        self.graphs = Graphs()
        return self

    @clear_errors
    def velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field v(y, s) that the solver follows: of the network under a condition, through all guides.

        Args:
            condition: of the clips, one for each state.
            guidance: classifier-free, see `network_velocity`.
        """
        check("`guidance`", guidance, float)
        condition = carried(self.guides, condition, self.device)
        plain = uncarried(condition).to(self.device, self.dtype)
        return composed(self.guides, self.network_velocity(plain, guidance), plain, condition)

    def prepared(self, condition: Condition, guidance: float) -> Condition:
        """The condition with all that a run under this guidance will ask for, where it will ask for it."""
        if guidance != 1.0:
            condition = replace(condition, negative=self.unconditional(condition).expand(len(condition)))
        return carried(self.guides, condition.to(self.device, self.dtype), self.device)

    def told(self, condition: Condition, guidance: float) -> Condition:
        """The name of `prepared` in version 0.1."""
        warnings.warn("told is prepared since version 0.2", DeprecationWarning, stacklevel=2)
        return self.prepared(condition, guidance)
