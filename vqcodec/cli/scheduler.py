"""The cluster that ``--scheduler`` names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .messages import say
from .spelling import remark
from .typed import Scheduler

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster


def connect(scheduler: Scheduler) -> Cluster:
    """Connect to it. What Dask has to say comes as errors and warnings of ours."""
    from ..pipeline.cluster import Cluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    def warn(text: str) -> None:
        say(f"vqcodec: warning: {remark(text)}")

    return Cluster(scheduler.address, scheduler.resources, warn)
