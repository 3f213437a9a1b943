"""Manifests of Kubernetes, as a base and one overlay per target for kustomize."""

from odpm_tasks.core.targets.kubernetes.manifests import files, notes, required_secrets

__all__ = ["files", "notes", "required_secrets"]
