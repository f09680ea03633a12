"""`gaia bench`: how fast a Gaia is, measured by an ordinary client on workflows of its own."""
