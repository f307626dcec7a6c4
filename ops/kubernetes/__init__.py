"""The platform on Kubernetes: kind, helmfile, helm, and the state read from the cluster."""
