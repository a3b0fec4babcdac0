"""What every page has: its request, its period, its links, its charts, its template."""
