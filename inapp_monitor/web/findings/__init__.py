"""What pages are made of: one finding a module, shown by one page or several."""
