"""The shell around the machine: the one writer, its recovery, leases, and the publisher of public events."""
