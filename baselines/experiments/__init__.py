"""The paper's experiments: `reproduction` (Tables 4 to 7), `adaptation` (Table 7) and `cross_domain`; `figures` draws them."""

from __future__ import annotations

__all__: list[str] = []
