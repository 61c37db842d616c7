"""Every notebook runs top to bottom, offline, at the reduced sizes of LATENTLAB_FAST."""

import json
import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_their_numbers_have_no_gap():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{k:02d}" for k in range(1, len(NOTEBOOKS) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra [notebook]")
    nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra [notebook]")
    monkeypatch.setenv("LATENTLAB_FAST", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    errors = [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert not errors


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_shown_with_its_outputs_and_stays_small(path):
    assert os.path.getsize(path) < 1_000_000
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]  # nbformat's import takes two seconds of each process
    assert all(cell["outputs"] or cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
