"""What is kept in memory between visits."""
