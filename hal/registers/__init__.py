"""Register maps as data: pure decoding and read plans."""
