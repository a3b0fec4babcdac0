"""What leaves: the numbers, errors and the past of one app, in the formats of other engines."""
