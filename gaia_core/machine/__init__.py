"""The whole deployment as a pure machine: workflows and workers together; inputs in, events and effects out."""
