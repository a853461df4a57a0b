"""Orchestration only: assets, checks, sensors, resources and I/O managers; the work is in the plain packages."""

import warnings

import dagster as dg

# Partitioned asset checks and the domain-level partition mapping are preview and beta in Dagster 1.13; we use them on
# purpose, and saying so at every load helps nobody.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
