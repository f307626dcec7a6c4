"""What the Makefile's targets for Kubernetes and Compose do: check, build, bring up, look at, take down."""
