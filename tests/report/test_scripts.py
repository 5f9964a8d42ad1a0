"""The scripts of a page share one scope."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_name_is_declared_twice() -> None:
    scripts = [*ROOT.glob("pcm_leukemia/report/page/*.js"), *ROOT.glob("baselines/report/page/*.js")]
    assert len(scripts) > 5
    names = Counter(
        name
        for script in scripts
        for name in re.findall(r"^(?:const|let|function) (\w+)", script.read_text("utf-8"), re.MULTILINE)
    )
    assert [name for name, times in names.items() if times > 1] == []
