"""The stand-ins of :mod:`support.fakes` for a test. They stand apart since processes that use them
load no pytest, which takes as long as all else that such a process does."""

from __future__ import annotations

import pytest

from support import fakes


@pytest.fixture
def fake_network(monkeypatch: pytest.MonkeyPatch) -> type[fakes.GopEncoder]:
    return fakes.install(monkeypatch)
