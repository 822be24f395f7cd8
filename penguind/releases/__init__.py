"""Releases on their way to the fleet, and the contents that they are made of."""
