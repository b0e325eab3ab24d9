"""All that a first GPU has to be asked, in one script: `sunriza bench gpu`.

`plan` lists the steps, `runner` does each in a child process (`child`) with a time limit and writes
one JSON file after each. What is measured is in `parity`, `speed`, `memory`, `faults`, `whole` and
`machine`; what they share is in `bench`.
"""
