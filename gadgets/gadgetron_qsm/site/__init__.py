"""The site's machine: logs, health, metrics, what is tested when a server starts."""
