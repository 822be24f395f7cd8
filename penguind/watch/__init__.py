"""Looking for what no report tells: the server's own issues, found once a minute."""
