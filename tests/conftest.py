"""Fixtures that more than one folder of tests uses."""

from tests.fixtures.hub import fake_hub

__all__ = ["fake_hub"]
