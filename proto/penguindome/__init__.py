"""What all three programs agree on; also the import path of the plugin API."""
