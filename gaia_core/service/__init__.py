"""What clients reach: gRPC and HTTP."""
