"""Telling people about issues that are due."""
