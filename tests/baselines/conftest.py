"""What the tests of the baselines share."""

from __future__ import annotations

import pytest
from smoke_runs import SmokeRuns, shared_folder


@pytest.fixture(scope="session")
def smoke_runs(tmp_path_factory: pytest.TempPathFactory) -> SmokeRuns:
    return SmokeRuns(shared_folder(tmp_path_factory))
