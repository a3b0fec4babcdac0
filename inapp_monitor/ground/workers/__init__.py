"""What sibling worker processes share: rows, a mailbox, route names, one leader."""
