"""Measurements of Gaia as users run it; README.md tells what each figure means. Not part of the package."""
