"""Platforms: where this Python runs (a laptop, Colab, Kaggle) and what it lacks.

Only the standard library is imported at the top, so that the first cell of a notebook works where nothing is installed
yet. Taught in notebook 00.
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib import invalidate_caches, metadata, util
from pathlib import Path

from ocrkit import __version__

#: The folder that holds the package, the notebooks and `data/`.
COURSE = Path(__file__).resolve().parents[2]
#: Where `/kaggle` and `/content` hang; tests put a temporary folder here.
ROOT = Path("/")

#: Package -> what will not work without it. Which packages there are, says pyproject.toml, see `requirements`.
LOSSES = {
    "pandas": "every table of the course",
    "pillow": "reading and drawing images",
    "matplotlib": "all figures",
    "safetensors": "saving and loading models",
    "tqdm": "training, and checking data (they show progress bars)",
    "regex": "differences between texts by what a reader calls a character, in notebook 05",
    "persiantools": "the dates of letters, in notebook 10",
    "jinja2": "galleries, error pages and the error browser",
    "tomli": "training recipes",
    "ipywidgets": "the error browser of notebook 05, and progress bars",
    "jiwer": "the comparison with jiwer in notebook 04",
    "nltk": "the comparison with nltk in notebook 04",
    "evaluate": "the Hugging Face metrics in notebook 04",
}
#: Never installed or replaced from a notebook: their builds fit the machine's graphics driver.
UNTOUCHED = ("torch", "torchvision", "numpy")
#: Packages that are imported by another name.
_IMPORT_NAMES = {"pillow": "PIL"}

#: What `OCRKIT_PROFILE` may be: seconds in a test, minutes on a laptop, longer on a graphics card.
PROFILES = ("tiny", "laptop", "gpu")


def requirements(extra: str = "") -> list[str]:
    """Names for pip of the dependencies that pyproject.toml lists for this Python, or of those of one of its extras.

    It lies beside the package in a checkout; where the package was installed, pip has kept the same list. Where there
    is neither, it is [].
    """
    try:
        text = (COURSE / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        text = ""
    if '\nname = "ocrkit"\n' in text:  # not that of a project into which the package was copied
        # By hand, because Python 3.10 has no tomllib: a requirement a line.
        block = re.search(rf"^{extra or 'dependencies'} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
        lines = re.findall(r'^ *"(.+)",$', block[1], re.MULTILINE) if block else []
    else:
        try:
            kept = metadata.requires("ocrkit") or []
        except metadata.PackageNotFoundError:
            kept = []
        lines = [line for line in kept if (re.findall(r"extra == ['\"](\w+)", line) or [""]) == [extra]]
    return [re.match(r"[\w.-]+", line)[0] for line in lines if _fits_python(line)]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _fits_python(requirement: str) -> bool:
    before = re.search(r"python_version *< *['\"](\d+)\.(\d+)", requirement)
    return not before or sys.version_info < (int(before[1]), int(before[2]))


def import_name(package: str) -> str:
    """The name by which a package is imported: `PIL` for `pillow`."""
    return _IMPORT_NAMES.get(package, package.replace("-", "_"))


#: What a notebook needs: import name -> (name for pip, what will not work without it). jupyterlab is what shows it.
PACKAGES = {
    import_name(package): (package, LOSSES.get(package, "what needs it"))
    for package in (*requirements(), *requirements("notebooks"))
    if package not in (*UNTOUCHED, "jupyterlab")
}


def way_out(error: ImportError) -> str:
    """What to do where a package of pyproject.toml is missing, in a line; "" where it is something else."""
    extras = ("notebooks", "scale", "tensorboard")
    known = {import_name(p): p for p in sum(map(requirements, extras), requirements())}
    if "pip install" in str(error):
        return str(error)
    package = known.get((error.name or "").partition(".")[0])
    return f"the package {package} is missing: pip install {package}" if package else ""


def platform() -> str:
    """`"kaggle"`, `"colab"` or `"local"`. Kaggle is asked first, because its image shares parts with Colab's."""
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ or (ROOT / "kaggle" / "working").is_dir():
        return "kaggle"
    if "COLAB_RELEASE_TAG" in os.environ or (ROOT / "content" / "sample_data").is_dir():
        return "colab"
    return "local"


def missing_packages() -> list[str]:
    """Import names of `PACKAGES` that cannot be imported here."""
    return [name for name in PACKAGES if not _is_here(name)]


def _is_here(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except (ImportError, ValueError):  # half removed, or kept from being imported
        return False


def install(names: list[str]) -> list[str]:
    """Install packages of `PACKAGES` with pip, and return the import names that are still missing.

    Pip finds packages that fit the torch, torchvision, numpy, pandas and pillow that are installed, or fails; it never
    replaces them.
    """
    with tempfile.TemporaryDirectory() as folder:
        constraint = Path(folder, "keep.txt")
        pins = {p: _version(p) for p in (*UNTOUCHED, "pandas", "pillow")}
        constraint.write_text("".join(f"{p}=={v}\n" for p, v in pins.items() if v), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # Without internet, the first cell must not hang for minutes.
        pip += ["--retries", "1", "--timeout", "10", "--constraint", str(constraint)]
        wanted = [PACKAGES[name][0] for name in names]
        done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
        if done.returncode and len(wanted) > 1 and "connection" not in done.stderr.lower():
            for package in wanted:  # one package that cannot be had must not keep out the others
                subprocess.run([*pip, package], capture_output=True, text=True, check=False)
    invalidate_caches()
    return [name for name in names if not _is_here(name)]


def summary_line() -> str:
    """One line: `ocrkit 0.1.0 · local · Python 3.11 · torch 2.8 · cpu (2 threads) · profile laptop`."""
    try:
        import torch

        parts = [f"torch {'.'.join(torch.__version__.split('.')[:2])}"]
        if torch.cuda.is_available():
            parts.append(torch.cuda.get_device_name())
        else:
            parts.append(f"cpu ({torch.get_num_threads()} threads)")
    except ImportError:
        parts = ["no torch"]
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    profile = f"profile {os.environ.get('OCRKIT_PROFILE', 'laptop')}"
    return " · ".join([f"ocrkit {__version__}", platform(), python, *parts, profile])


def prepare_notebook() -> None:
    """Make this Python ready for a notebook: install what is missing, and print one line that sums it up.

    Where pip fails (no internet), one line a package says what will not work, and the notebook goes on. Raises
    ValueError: `OCRKIT_PROFILE` is none of `PROFILES`.
    """
    profile = os.environ.get("OCRKIT_PROFILE", "laptop")
    if profile not in PROFILES:
        raise ValueError(f"OCRKIT_PROFILE is {profile!r}; it must be one of {', '.join(PROFILES)}, or not be set")
    if not PACKAGES:
        print(f"{COURSE / 'pyproject.toml'} is missing, which says what to install: take the whole course folder")
    missing = missing_packages()
    for name in install(missing) if missing else []:
        package, loss = PACKAGES[name]
        print(f"{package} is missing and could not be installed; without it this does not work: {loss}")
    for package in UNTOUCHED:
        if _version(package) is None:
            print(f"{package} is missing: install it as README.md says, then restart the notebook")
    print(summary_line())
