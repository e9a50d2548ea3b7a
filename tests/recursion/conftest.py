"""A real model is asked only where one is named: else its test is not collected, so nothing is skipped."""

import os

from tests.recursion.maps import environment as environment
from tests.recursion.maps import mapping as mapping

LIVE = ("HALO_TEST_LLM_BASE_URL", "HALO_TEST_LLM_MODEL", "HALO_TEST_LLM_API_KEY")

collect_ignore = [] if all(os.environ.get(name) for name in LIVE[:2]) else ["test_live.py"]
