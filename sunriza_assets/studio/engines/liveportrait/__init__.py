"""The GPU engine: LivePortrait's networks, our own implementation, the published weights."""
