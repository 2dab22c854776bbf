"""Releases of runs whose model calls pass a wiretap; the drill is run by `make drills` alone."""

import os

from support.wiretap import tap

__all__ = ["tap"]

collect_ignore = [] if "GRINDSTONE_DRILL_CAMPAIGNS" in os.environ else ["test_drill_campaigns.py"]
