"""What developers run to write files of the checkout anew: lock files, .env.example, the dashboard."""
