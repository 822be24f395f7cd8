"""Signed orders on their way to devices, and what devices say of them."""
