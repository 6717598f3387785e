"""Edit music of any length, rate and number of channels by instructions."""
