"""Grafana kept in step: folder, data source, dashboards, and alerts as annotations.

`sync` brings everything in place when it is asked to. `pushing` runs in every worker and tells
Grafana of alerts as they change. What Grafana should show is decided by pure functions in
`annotation`, `dashboards` and `datasource`; `client` alone speaks to it.
"""

from __future__ import annotations

__all__: list[str] = []
