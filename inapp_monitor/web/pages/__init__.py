"""What people see: one module a page, each with its `.json` twin."""
