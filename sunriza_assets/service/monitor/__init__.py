"""What operators see: metrics, structured logs, the audit line."""
