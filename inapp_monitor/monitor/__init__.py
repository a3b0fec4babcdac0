"""`Monitor`, its life, and the parts that it is made of."""
