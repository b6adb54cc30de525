"""The console: a page of static files that uses the management API."""
