"""Google's clients as this system uses them, and their errors in its own words."""
