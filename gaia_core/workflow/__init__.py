"""One workflow as a pure machine: no clock, ids, randomness, logs, sockets, files, threads or protobuf."""
