"""A video model: what it must say to join, and what follows from that, its velocity under guidance among them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.generator.adapted import Strengths
from latentlab.generator.adapted import adapted as with_adapters
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.graph import Graphs
from latentlab.generator.guides import Guide, carried, composed, uncarried
from latentlab.generator.lock import one_at_a_time
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Video
from latentlab.store import digest
from latentlab.weights import fingerprint, state_of

# Fingerprints by a model's first network, each with the state of all its weights when it was made.
_FINGERPRINTS: WeakKeyDictionary[nn.Module, tuple[str, str]] = WeakKeyDictionary()


HELD = ("encode", "decode", "condition", "predict", "sample", "invert")  # what has the networks to itself


class Networks(dict[str, nn.Module]):
    """Networks by role. A number still gives the one at that place, as in the tuple that this was."""

    def __missing__(self, place: object) -> nn.Module:
        if isinstance(place, int):
            return list(self.values())[place]
        raise KeyError(place)


class Model(ABC):
    """An autoencoder, and a denoiser between noise and its latents.

    The abstract parts are what a model says by itself; the others follow from them or have an answer that suits most.
    Threads may share a model: while one is in its networks, the others wait.
    """

    capturable: ClassVar[bool] = True  # whether `predict` reads nothing from the device, so that a graph can hold it
    graphs: Graphs | None = None  # of the solver's loops, see `graphed`
    guides: tuple[Guide, ...] = ()  # that its velocity goes through, see `guided`

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls).keys() & set(HELD):
            setattr(cls, name, one_at_a_time(vars(cls)[name]))

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module] | Sequence[nn.Module]:
        """All networks whose weights make a clip, by role: "autoencoder", "denoiser", others under names of their own.

        A sequence, of the autoencoder first and the denoiser last, is read for one version more.
        """

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The networks, each once."""
        networks = self.networks
        return tuple(dict.fromkeys(networks.values() if isinstance(networks, Mapping) else networks))

    def network_of(self, role: str) -> nn.Module | None:
        """The network of a role; None where there is none."""
        networks = self.networks
        if isinstance(networks, Mapping):
            return networks.get(role)
        return {"autoencoder": networks[0], "denoiser": networks[-1]}.get(role)

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Channel, frame, height and width of the latents of one clip."""

    @property
    def adaptable(self) -> Mapping[str, nn.Module]:
        """Networks that adapters may change, by the role that their files call them, the denoiser last."""
        return {"denoiser": denoiser} if (denoiser := self.network_of("denoiser")) else {}

    def having(self, networks: Mapping[str, nn.Module]) -> Self:
        """The generator with other networks in the place of some, by the roles of `adaptable`.

        Raises:
            ValueError: a model that does not say how.
        """
        if networks:
            raise ValueError(f"{type(self).__name__} does not say how its networks are replaced; adapted() needs none")
        return self

    def renamed(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """An adapter's tensors by the names that this model's layers have; None for a model with no other names."""
        del tensors
        return None

    def knowing(self, words: Mapping[str, Tensor]) -> Self:
        """The generator whose text tower knows new words too, each by its embedding.

        Raises:
            ValueError: a model that learns no words, or a word that it knows already.
        """
        if words:
            raise ValueError(f"{type(self).__name__} learns no new words, the adapter has {', '.join(sorted(words))}")
        return self

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

        >>> import latentlab as ll
        >>> from latentlab.generator.update import LowRank
        >>> generator = ll.load()
        >>> update = LowRank(torch.ones(1, 128), torch.ones(256, 1), alpha=1.0)
        >>> changed = generator.adapted({ll.Adapter({"middle.space.modulate": update}): 0.5})
        >>> changed.fingerprint() == generator.fingerprint()
        False
        """
        return with_adapters(self, adapters, mask=mask, levels=levels)

    @abstractmethod
    def encode(self, video: Video, *, batch_size: int = 16) -> Latents:
        """Latents of clips, about unit variance: the mode of the posterior."""

    @abstractmethod
    def decode(self, latents: Latents, *, batch_size: int = 16) -> Video:
        """Clips of latents, within [-1, 1]."""

    @abstractmethod
    def condition(self, captions: str | Sequence[str]) -> Condition:
        """What the denoiser is told by captions; "" says nothing."""

    def as_condition(self, caption: Caption) -> Condition:
        """The condition, whichever way it is given: captions, an image, tensors by name, or made before."""
        if isinstance(caption, Condition):
            return caption
        return Condition(parts=caption) if isinstance(caption, Mapping) else self.condition(caption)  # type: ignore[arg-type]

    @abstractmethod
    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        """The velocity `noise - clean` at states `y = (1 - s) clean + s noise`: one call of the network."""

    def completed(self, latents: Latents, condition: Condition) -> Latents:
        """The latents, with what the condition says of them in its place, as the image that a clip begins with."""
        del condition  # most models are told of clips, not parts of them
        return latents

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules[0].parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser computes in; states and latents are float32 in any case."""
        denoiser = self.network_of("denoiser")
        own = (p.dtype for p in denoiser.parameters() if p.is_floating_point()) if denoiser else iter(())
        return next(own, torch.float32)

    @property
    def decode_chunk(self) -> int | None:
        """Frames that are decoded together, for an autoencoder whose clip depends on it; None where it does not."""
        return None

    @property
    def tiles(self) -> dict[str, Any] | None:
        """Sizes of the parts that the autoencoder takes a clip in; None where it takes it whole."""
        return None

    def settings(self) -> dict[str, Any]:
        """What `predict` depends on beside weights, state, level and condition, as JSON holds it.

        Such as its guides, and which adapters (LoRA, by peft) of the networks are on or merged, and how strongly;
        nothing without any.
        """
        layers = [m for network in self.modules for m in network.modules() if hasattr(m, "merged_adapters")]
        told = [[m.merged_adapters, m.active_adapters, m.disable_adapters, getattr(m, "scaling", {})] for m in layers]
        guides = [settings for guide in self.guides if (settings := guide.settings())]
        return ({"adapters": told} if told else {}) | ({"guides": guides} if guides else {})

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

    def compile(self, **options) -> Self:
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

    def velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field v(y, s) that the solver follows: of the network under a condition, through all guides.

        Args:
            condition: of the clips, one for each state.
            guidance: classifier-free, see `network_velocity`.
        """
        condition = carried(self.guides, condition, self.device)
        plain = uncarried(condition).to(self.device, self.dtype)
        return composed(self.guides, self.network_velocity(plain, guidance), plain, condition)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity under a condition, with classifier-free guidance (Ho & Salimans 2022, eq. 6) and no other guide.

        v = v("") + guidance * (v(condition) - v("")); at guidance 1 the empty caption is not evaluated. A condition
        that with a `negative` has that in the place of the empty caption.
        """
        condition = condition.to(self.device, self.dtype)

        def predict(y: Tensor, s: float, under: Condition) -> Tensor:
            return self.predict(y.float(), s, under).to(y.dtype)  # a state may be float64, see `as_state`

        if guidance == 1.0:
            return lambda y, s: predict(y, s, condition)
        empty = self.unconditional(condition).to(self.device, self.dtype).expand(len(condition))
        both = Condition.cat([empty, condition])

        def guided(y: Tensor, s: float) -> Tensor:
            without, under = predict(torch.cat([y, y]), s, both).chunk(2)
            return torch.lerp(without, under, self.guidance_scale(guidance, y, s))

        return guided

    def guidance_scale(self, guidance: float, y: Tensor, s: float) -> Tensor | float:
        """Guidance as it meets the states at a level: one number, or one that broadcasts with them."""
        del y, s
        return guidance

    def told(self, condition: Condition, guidance: float) -> Condition:
        """The condition with all that a run under this guidance will ask for, where it will ask for it."""
        if guidance != 1.0:
            condition = replace(condition, negative=self.unconditional(condition).expand(len(condition)))
        return carried(self.guides, condition.to(self.device, self.dtype), self.device)

    def unconditional(self, condition: Condition) -> Condition:
        """What guidance leads away from."""
        return self.condition("") if condition.negative is None else condition.negative

    def check_latents(self, latents: Tensor) -> None:
        """Raises unless they are latents of this model: `(batch, channel, frame, height, width)`."""
        channels = self.latent_shape[0]
        if not isinstance(latents, Tensor) or not latents.is_floating_point():
            kind = latents.dtype if isinstance(latents, Tensor) else type(latents).__name__
            raise ValueError(f"latents are a floating-point tensor, got {kind}")
        if latents.ndim != 5 or latents.shape[1] != channels:
            raise ValueError(
                f"latents have axes (batch, {channels}, frame, height, width), got shape {tuple(latents.shape)}"
            )
        if not len(latents):
            raise ValueError(f"latents of one clip at least are needed, got shape {tuple(latents.shape)}")
        if not latents.isfinite().all():
            raise ValueError("latents are finite, got NaN or infinity")
