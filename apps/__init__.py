"""What people start: the command line, the web pages, the demo."""
