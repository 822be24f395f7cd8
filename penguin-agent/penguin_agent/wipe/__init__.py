"""Wiping: what would go, and making it go, in a process of its own that outlives the agent."""
