"""Restoring: from a backup and an empty machine to the fleet's server, all or nothing."""
