"""What every other room may use: errors, paths, ports, processes, file locks, child environments, settings."""
