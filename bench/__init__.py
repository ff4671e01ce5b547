"""Measurements of the whole, run by `./parley bench`; the engine imports nothing of it."""
