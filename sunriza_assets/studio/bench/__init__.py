"""What engines cost on this machine: benchmarks behind `sunriza bench`."""
