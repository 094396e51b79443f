"""Measurements, run by hand. Each prints its figures and the load; on a busy machine only ratios and CPU seconds count."""

import os

KIND = "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"
