"""Settings and fixtures that several tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ocrkit as ok
from tests.helpers import TIMES

# `make test` tries the same random cases every time, so a run is never red by chance; `make search` looks for new ones.
# A busy machine is slow, not wrong: no example fails for the time it took.
settings.register_profile(
    "ocrkit",
    derandomize=TIMES == 1,
    database=None,
    max_examples=100 * TIMES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ocrkit")


@pytest.fixture(scope="session")
def plates():
    return ok.load_samples("plates").head(4)


@pytest.fixture(scope="session")
def reader():
    return ok.Recognizer.load("plates", device="cpu")


@pytest.fixture(scope="session")
def packed(plates):
    return ok.pack(plates)


@pytest.fixture(scope="session")
def found(reader, plates):
    return ok.character_maps(reader, plates.iloc[0])


@pytest.fixture
def shots(tmp_path):
    """The folder of the screenshots: OCRKIT_SCREENSHOTS, or pytest's temporary one."""
    folder = Path(os.environ.get("OCRKIT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
