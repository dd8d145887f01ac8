"""The demo: a real pandemic as a stream of events, and pictures of what was found.

`taiwan` holds real weekly counts and turns them into single visits, `sales` simulates the drug
sales that go with them, `pictures` draws the result.
"""

from __future__ import annotations

__all__: list[str] = []
