"""Backups: one sealed file that holds a whole fleet, and what makes a server of it again."""
