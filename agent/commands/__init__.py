"""The commands of `pilotwire`, a module each; `agent.cli` imports the one that is named.

A module has `declare(parser, common)`, which adds its options (`common` is the parent of
subcommands: it holds the options that every command knows), and `execute(args)`, which
returns the exit code.
"""
