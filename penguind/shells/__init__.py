"""Remote shells: two legs joined, limits kept, recordings stored. What passes is sealed."""
