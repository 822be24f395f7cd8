"""Readers for what Linux tools and files print, shared by plugins."""
