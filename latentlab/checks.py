"""Errors that say which argument was not what the function takes, instead of what torch or numpy made of it.

A public function wears `@clear_errors`. Its own checks speak first; where a call ends in an error that the library did
not raise, its arguments are held against the annotations, whose types say ranges and axes too. So they are after a call
that took NaN. A class wears it on its `__init__`, a dataclass on itself, an estimator, for its settings, on its `fit`.
"""

from __future__ import annotations

import dis
import functools
import inspect
import math
import operator
import typing
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import numpy as np
from jaxtyping import AbstractArray

from latentlab.protocols import Array, SklearnEstimator, TorchTensor
from latentlab.quoted import shown

F = TypeVar("F", bound=Callable[..., Any])


class WrongKind(TypeError, ValueError):
    """An argument is of another kind than the function takes; who expects a ValueError of bad input catches it too."""


class Within(NamedTuple):
    """A range in an annotation: `Annotated[int, Within(1)]` is a whole number from 1 on."""

    low: float
    high: float = math.inf
    above: bool = False  # `low` itself is out

    def __contains__(self, value: Any) -> bool:
        return value <= self.high and (value > self.low if self.above else value >= self.low)

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        return low if self.high == math.inf else f"{low} and {self.high:g} at most"


Natural = Annotated[int, Within(0)]
Count = Annotated[int, Within(1)]
Seed = Annotated[int, Within(0, 2**63 - 1)]
Positive = Annotated[float, Within(0, above=True)]
MayBeNaN = Annotated[float, "NaN is not known"]

WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text", NoneType: "None"}


def clear_errors(function: F) -> F:
    """The function (or dataclass), with an error of its own where an argument is not what its annotation says.

    Raises:
        WrongKind: an argument of another kind than its annotation says, if the call came to nothing, or made an object.
        ValueError: a number outside of the range that it says, NaN, or a choice that there is not; likewise.

    >>> @clear_errors
    ... def noise(count: Count, *, seed: Seed = 0) -> np.ndarray:
    ...     return np.random.default_rng(seed).standard_normal(count)
    >>> noise(1, seed=2).shape
    (1,)
    >>> noise("1")
    Traceback (most recent call last):
    latentlab.checks.WrongKind: noise: `count` must be a whole number, got '1' (str)
    >>> noise(1, seed=-1)
    Traceback (most recent call last):
    ValueError: noise: `seed` must be a whole number, 0 or more and 9.22337e+18 at most, got -1
    """
    if inspect.isclass(function):  # a dataclass: its `__init__` knows not where the annotations of its bases live
        function.__init__ = _clear(function.__init__, function)
        return typing.cast(F, function)
    return typing.cast(F, _clear(function, function))


def _clear(function: Callable[..., Any], annotated: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    name = annotated.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")

    @functools.wraps(function)
    def with_clear_errors(*args: Any, **kwargs: Any) -> Any:
        def look(axes: bool = False) -> None:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # not the arguments that it takes, as Python's own error says
                return
            if settings(given.get("self")):
                check_settings(given["self"])
            hints, asked = hints_of(annotated), [p for p in parameters if p.name in given and p.kind != p.VAR_KEYWORD]
            each = [
                (p.name, x, hints[p.name])
                for p in asked
                if p.name in hints
                for x in (given[p.name] if p.kind == p.VAR_POSITIONAL else (given[p.name],))
            ]
            for key, x, hint in each:
                check(f"{name}: `{key}`", x, hint)
            for key, x, hint in each:
                if axes and not _has_axes(x, hint):
                    raise WrongKind(f"{name}: `{key}` must be {annotation_words(hint)}, got {shown(x)} of {x.dtype}")

        try:
            result = function(*args, **kwargs)
        except Exception as error:
            if not _is_ours(error):
                look(axes=True)
            raise
        if inspect.isgeneratorfunction(function):
            return _looked_at(result, look)
        nan = any(map(_is_nan, (*args, *kwargs.values(), *settings(args[0] if args else None).values())))
        if nan or function.__name__ == "__init__":
            look()  # NaN ends in no error, but in NaN; what a new object keeps would end in one later, elsewhere
        return result

    return with_clear_errors


def _looked_at(results: Generator[Any, Any, Any], look: Callable[..., None]) -> Generator[Any, Any, Any]:
    """What a generator yields, whose arguments speak where it ends in an error that is not the library's."""
    try:
        return (yield from results)
    except Exception as error:
        if not _is_ours(error):
            look(axes=True)
        raise


def settings(x: Any) -> dict[str, Any]:
    """Settings of a scikit-learn estimator; of anything else, none."""
    return x.get_params(deep=False) if isinstance(x, SklearnEstimator) and not inspect.isclass(x) else {}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _is_ours(error: BaseException) -> bool:
    """Whether a `raise` of the library made the error, and not something that it called."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not last.tb_frame.f_globals.get("__name__", "").startswith("latentlab"):
        return False
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")


@functools.cache
def hints_of(annotated: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of a function or dataclass, resolved at its first call, when all modules are there."""
    return typing.get_type_hints(annotated, include_extras=True)


def check_settings(estimator: Any) -> None:
    """Raises where a setting of a scikit-learn estimator is not what its annotation says."""
    kind = type(estimator)
    hints = hints_of(kind if is_dataclass(kind) else kind.__init__)
    for key in inspect.signature(kind).parameters:
        check(f"{kind.__name__}: `{key}`", getattr(estimator, key), hints[key])


def check(name: str, value: Any, hint: Any) -> None:
    """Raises where a value is not what an annotation says; `name` is what the error calls it.

    >>> check("`size`", (64, 64), tuple[int, int])
    >>> check("`size`", 64, tuple[int, int] | None)
    Traceback (most recent call last):
    latentlab.checks.WrongKind: `size` must be (a whole number, a whole number) or None, got 64 (int)
    """
    if fits(value, hint):
        return
    if fits(value, hint, ranges=False):
        raise ValueError(f"{name} must be {annotation_words(hint)}, got {shown(value)}")
    raise WrongKind(
        f"{name} must be {annotation_words(hint, ranges=False)}, got {shown(value)} ({type(value).__name__})"
    )


def fits(value: Any, hint: Any, *, ranges: bool = True) -> bool:
    """Whether a value is what an annotation says; without `ranges`, whether it is of that kind at all."""
    origin, parts = get_origin(hint), get_args(hint)
    inside = functools.partial(fits, ranges=ranges)
    if hint is MayBeNaN:
        return fits(value, float, ranges=False)
    if origin is Annotated:
        limits = [part for part in parts[1:] if isinstance(part, Within)]
        return inside(value, parts[0]) and not (ranges and any(float(value) not in limit for limit in limits))
    if origin in (Union, UnionType):
        return any(inside(value, part) for part in parts)
    if origin is Literal:
        return value in parts if ranges and isinstance(value, Hashable) else type(value) in map(type, parts)
    if isinstance(hint, TypeVar):
        return inside(value, hint.__bound__ or (Union[hint.__constraints__] if hint.__constraints__ else Any))  # noqa: UP007
    if origin is None:
        return _is(value, NoneType if hint is None else hint, ranges)
    if _is_array(value) and issubclass(origin, Collection) and not issubclass(origin, Mapping):
        if any(isinstance(part, type) and issubclass(part, AbstractArray) for part in parts):
            return origin is not tuple or parts[-1] is ...  # one array is several of one kind, but no pair of two kinds
        if value.ndim != 1 or str in parts:  # a row of numbers is a sequence of them
            return False
        return fits(value.tolist(), hint, ranges=ranges)
    if not isinstance(value, origin) and not (origin is tuple and isinstance(value, list)):
        return False
    if origin is tuple and parts and parts[-1] is not ...:
        return len(value) == len(parts) and all(map(inside, value, parts))
    if issubclass(origin, Mapping):
        return all(inside(key, parts[0]) and inside(item, parts[1]) for key, item in dict(value).items())
    if issubclass(origin, Iterable) and isinstance(value, Collection) and parts:
        text = isinstance(value, str | bytes)  # which Python takes for a sequence of texts
        return not text and all(inside(item, parts[0]) for item in value)
    return True


def _has_axes(value: Any, hint: Any) -> bool:
    """Whether a tensor or array has the type and the axes that its annotation names, and numbers at all."""
    if get_origin(hint) in (Union, UnionType):
        return any(fits(value, part) and _has_axes(value, part) for part in get_args(hint))
    named = isinstance(hint, type) and issubclass(hint, AbstractArray) and hint.array_type is not Any
    return isinstance(value, hint) if named else hint is not np.ndarray or value.dtype.kind in "fiub"


def _is_array(value: Any) -> bool:
    return isinstance(value, Array)


def _is(value: Any, kind: Any, ranges: bool) -> bool:
    """Whether a value is of a plain type: numpy's numbers are numbers, True is none, NaN is not in any range."""
    if kind is Any or Protocol in kind.__bases__:
        return True
    if issubclass(kind, AbstractArray):  # type and axes are looked at by the function
        return kind.array_type is Any or isinstance(value, kind.array_type)
    if kind is int:
        return isinstance(value, SupportsIndex) and not isinstance(value, bool) and _number(value, operator.index)
    if kind is float:
        real = isinstance(value, SupportsFloat) and not isinstance(value, bool) and _number(value, float)
        return real and not (ranges and math.isnan(float(value)))
    return isinstance(value, kind)


def _number(value: Any, read: Callable[[Any], Any]) -> bool:
    try:
        read(value)
    except (TypeError, ValueError, RuntimeError):  # arrays of several numbers, complex ones, tensors without data
        return False
    return True


def as_numbers(name: str, value: Any) -> np.ndarray:
    """Numbers that users give, as an array; tensors of any kind among them.

    Raises:
        WrongKind: anything else.

    >>> as_numbers("codes", [[1, 2]])
    array([[1, 2]])
    >>> as_numbers("codes", "seven")
    Traceback (most recent call last):
    latentlab.checks.WrongKind: codes must be an array of numbers, got 'seven' (str)
    """
    if isinstance(value, TorchTensor):  # numpy has no bfloat16
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() and value.dtype.itemsize < 4 else value).numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # lists of several lengths
        raise WrongKind(f"{name} must be an array of numbers, got {shown(value)}: {error}") from error
    if array.dtype.kind not in "fiub":
        raise WrongKind(f"{name} must be an array of numbers, got {shown(value)} ({type(value).__name__})")
    return array


def annotation_words(hint: Any, *, ranges: bool = True) -> str:
    """An annotation as an error says it."""
    origin, parts = get_origin(hint), get_args(hint)
    tell = functools.partial(annotation_words, ranges=ranges)
    if origin is Annotated:
        return ", ".join([tell(parts[0]), *(str(part) for part in parts[1:] if ranges and isinstance(part, Within))])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(tell, parts)))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is tuple and parts[-1] is not ...:
        return f"({', '.join(map(tell, parts))})"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping of {tell(parts[0])} to {tell(parts[1])}"
    if isinstance(origin, type) and issubclass(origin, Collection):
        return f"several of: {tell(parts[0])}"
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return f"a {'tensor' if hint.array_type.__name__ == 'Tensor' else 'numpy array'} ({hint.dim_str.strip()})"
    if hint is float and ranges:
        return "a number, not NaN"
    return WORDS.get(NoneType if hint is None else hint, "a function" if origin is Callable else _name(hint))


def _name(hint: Any) -> str:
    return f"a {hint.__name__}" if isinstance(hint, type) else str(hint)
