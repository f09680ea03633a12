"""Plain values to protobuf and back, for the API, the bus and the journal. Upgrades of old schemas live here."""
