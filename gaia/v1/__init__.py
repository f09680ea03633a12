"""Generated protobuf and gRPC code of package gaia.v1. Made by `make protos`; never edited."""
