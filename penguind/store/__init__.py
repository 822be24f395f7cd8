"""Everything that talks to MongoDB, one class for each collection."""
