"""The built wheel carries the weights and runs where the source tree is not."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_WEIGHTS = 30e6  # bytes


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(folder.glob("latentlab-*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_all_weights_within_30_mb(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {i.filename: i.file_size for i in archive.infolist() if "/shipped/" in i.filename}
    names = {Path(name).name for name in sizes}
    assert names >= {f"{n}.safetensors" for n in ("autoencoder", "denoiser", "clip", "reader")} | {"generator.json"}
    assert "MODEL_CARD.md" in names
    assert "latentlab/shipped/fashion-mnist/denoiser.safetensors" in sizes
    assert sum(sizes.values()) <= MAX_WEIGHTS


@pytest.mark.slow
def test_the_wheel_carries_the_pages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {Path(name).name for name in archive.namelist() if "/view/pages/" in name}
    assert held == {path.name for path in (ROOT / "latentlab/view/pages").iterdir() if path.is_file()}


@pytest.mark.slow
def test_the_wheel_runs_elsewhere(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    # -I leaves out the working folder and any other copy found through the environment.
    program = (
        "import sys; sys.path.insert(0, 'site'); import latentlab, latentlab.cli; "
        "assert 'site' in latentlab.__file__, latentlab.__file__; "
        "sys.exit(latentlab.cli.main(['generate', 'a red star', '--steps', '1', '--out', 'star.mp4']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "star.mp4").stat().st_size > 500
