"""At which flow time each factor of a clip is decided, measured for the shipped model and kept beside its weights."""

from __future__ import annotations

import json

from latentlab.generator.model import Model
from latentlab.weights import shipped

FILE = "decided.json"


def decided(generator: Model) -> dict[str, float]:
    """Flow time below which a caption no longer changes a factor, by the factor's name; empty where nobody measured it.

    Measured by switching from one caption to another on the way: the level at which half of the clips still obey the
    second. `python benchmarks/control.py --decided` measures the shipped model and writes the file; that of other
    weights is not read.

    >>> import latentlab as ll
    >>> set(decided(ll.load(device="cpu"))) <= {"background_hue", "hue", "size", "direction", "shape"}
    True
    """
    with shipped() as folder:
        file = folder / FILE
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"weights": None, "levels": {}}
    return known["levels"] if known["weights"] == generator.fingerprint() else {}
