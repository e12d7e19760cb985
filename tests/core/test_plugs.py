"""The kinds of connectors among the settings."""

from agent.core.plugs import connector_types
from agent.core.values import EvseSpec
from agent.core.variables import Access, Settings

SPECS = (
    EvseSpec(1, 2, 32.0, 3),
    EvseSpec(2, 1, 96.0, 3, is_dc=True, connector_type="cCCS2"),
)


def test_each_connector_of_each_evse_has_its_kind() -> None:
    custom = connector_types(SPECS)
    settings = Settings(custom=custom)
    assert {item.name: settings.text(item) for item in custom} == {
        "Connector.ConnectorType[1.1]": "Unknown",
        "Connector.ConnectorType[1.2]": "Unknown",
        "Connector.ConnectorType[2.1]": "cCCS2",
    }


def test_a_kind_is_what_the_board_says_and_has_no_key_in_1_6() -> None:
    assert {(item.access, item.key) for item in connector_types(SPECS)} == {
        (Access.READ_ONLY, None)
    }
