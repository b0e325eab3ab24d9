"""Fetching public addresses that documents name: hosts, address ranges, one deadline."""
