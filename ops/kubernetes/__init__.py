"""The platform on Kubernetes: kind, helmfile, helm, and what is read from the cluster."""
