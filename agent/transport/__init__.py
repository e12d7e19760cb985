"""Links to the CSMS."""
