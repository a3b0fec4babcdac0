"""How each framework shows the route of a request and the exceptions that it handles itself."""
