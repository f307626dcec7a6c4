"""Shared by all other rooms: errors, paths, ports, processes, file locks, child environments, settings."""
