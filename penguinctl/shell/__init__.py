"""Remote shells at the operator's end: the terminal, the sealed link, copies, recordings."""
