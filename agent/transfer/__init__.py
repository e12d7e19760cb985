"""Fetching and sending files, in a process of its own: `python -m agent.transfer`.

What parses bytes of foreign servers, and is needed once a month, does not live in the agent.
The process takes one job on its standard input and tells on its standard output, a JSON object
per line, how far it is and what became of it (agent.transfer.job). It ends with the agent.
"""
