"""Detectors on files: counts from a CSV file in, verdicts in a CSV file and pictures out."""
