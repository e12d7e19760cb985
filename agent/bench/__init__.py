"""What bench engineers run; nothing in the agent imports it."""
