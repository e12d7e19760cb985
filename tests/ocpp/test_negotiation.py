import subprocess
import sys

import pytest

from agent.ocpp.negotiation import SUPPORTED, adapter_for


@pytest.mark.parametrize("subprotocol", SUPPORTED)
def test_every_supported_version_has_its_adapter(subprotocol):
    assert adapter_for(subprotocol).subprotocol == subprotocol


def test_the_newest_version_is_preferred():
    assert SUPPORTED == ("ocpp2.0.1", "ocpp1.6")


@pytest.mark.parametrize("subprotocol", ["", "ocpp2.1", "OCPP1.6", "ocpp1.5"])
def test_another_version_is_refused_with_those_that_are_spoken(subprotocol):
    with pytest.raises(ValueError, match=r"ocpp2\.0\.1.*ocpp1\.6"):
        adapter_for(subprotocol)


@pytest.mark.parametrize(
    ("subprotocol", "other"),
    [("ocpp2.0.1", "agent.ocpp.v16"), ("ocpp1.6", "agent.ocpp.v201")],
)
def test_a_station_on_one_version_never_loads_the_other(subprotocol, other):
    program = (
        "import sys\n"
        "from agent.ocpp.negotiation import adapter_for\n"
        "assert not [n for n in sys.modules if n.startswith('agent.ocpp.v')]\n"
        f"adapter_for({subprotocol!r})\n"
        f"sys.exit(any(name.startswith({other!r}) for name in sys.modules))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
