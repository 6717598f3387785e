"""Wire the stages together and give them a command line."""
