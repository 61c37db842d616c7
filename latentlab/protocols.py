"""What is asked of objects of other libraries: types by what they have, so that no library is loaded to tell."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class TorchTensor(Protocol):
    """A tensor of torch, of any precision and device."""

    def detach(self) -> Any: ...


@runtime_checkable
class Array(Protocol):
    """An array of any library, which numpy reads."""

    @property
    def ndim(self) -> int: ...
    def __array__(self) -> Any: ...
    def tolist(self) -> Any: ...


@runtime_checkable
class HasShape(Protocol):
    """An array, a tensor, or a space whose codes have axes."""

    @property
    def shape(self) -> Any: ...


@runtime_checkable
class Headed(Protocol):
    """A table whose columns have names."""

    @property
    def columns(self) -> Any: ...


@runtime_checkable
class DataFrame(Headed, Protocol):
    """A data frame of pandas or polars."""

    def to_numpy(self) -> Any: ...


@runtime_checkable
class Indexed(Protocol):
    """A data frame or series of pandas, whose rows are taken by place."""

    @property
    def iloc(self) -> Any: ...


@runtime_checkable
class SklearnEstimator(Protocol):
    """An estimator of scikit-learn."""

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
