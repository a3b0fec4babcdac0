"""What bytes arrive through: TCP, UDP and Unix sockets, FIFOs and spool files."""
