"""Remote shells on the device: started, told to its user, recorded, and ended without a trace."""
