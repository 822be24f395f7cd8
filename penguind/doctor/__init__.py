"""Examining a server: named checks that change nothing, each with its remedy."""
