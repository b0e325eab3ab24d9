"""Google's clients as this system uses them, and the conversion of their errors."""
