"""Faults on a whole Sotto under traffic, and a checker that knows every acknowledged message."""
