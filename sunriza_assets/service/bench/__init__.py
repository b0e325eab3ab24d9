"""Measuring the service: CPU time and counts, never judged by the clock."""
