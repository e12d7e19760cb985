"""A diagnostics bundle, made in a process of its own: `python -m agent.diagnostics`."""
