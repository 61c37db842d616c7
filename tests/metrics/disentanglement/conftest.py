"""What disentanglement_lib and other libraries say of fixed codes, where it lies beside this checkout."""

from pathlib import Path

import numpy as np
import pytest

ORACLE = Path(__file__).parents[4] / "shared" / "data" / "disentanglement_oracle.npz"


@pytest.fixture(scope="session")
def oracle():
    if not ORACLE.exists():
        pytest.skip("the reference libraries' outputs are not beside this checkout")
    return np.load(ORACLE)
