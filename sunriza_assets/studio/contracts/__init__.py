"""What engines promise, and the types that pass between engines and everything else."""
