"""What a sentence asks for: words become a plan of steps."""
