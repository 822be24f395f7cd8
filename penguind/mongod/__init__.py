"""The real mongod that the server keeps as its child."""
