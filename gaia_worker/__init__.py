"""The Gaia worker: takes attempts from its inbox, runs them in an executor, moves their files, reports their ends."""
