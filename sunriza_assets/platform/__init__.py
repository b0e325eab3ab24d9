"""What runs the graph: Dagster's instance, its storage, executors, the run queue and Celery."""
