"""Cases that need the agent as a process have a directory of their own."""

from tests.agent.conftest import place

__all__ = ["place"]
