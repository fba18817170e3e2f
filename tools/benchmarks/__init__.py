"""Benchmarks: what the README says is measured here."""
