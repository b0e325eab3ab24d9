"""What the service costs on this machine, measured from outside, over HTTP."""
