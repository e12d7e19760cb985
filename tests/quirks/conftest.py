"""A real server for the locations of files."""

from tests.transfer.test_process import site, tls

__all__ = ["site", "tls"]
