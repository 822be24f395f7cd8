"""Running plugins: what, when, and within which bounds."""
