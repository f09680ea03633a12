"""Answers as what a person reads: pure functions from a reply to blocks, one file per intent, and `blocks` itself."""
