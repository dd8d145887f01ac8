"""Raw limit: aiokafka's getmany with the worker's fetch settings, and nothing done with it."""

from __future__ import annotations

import asyncio
import json
import time

from benchmarks.contestants.common import place
from benchmarks.contestants.reading import open_consumer


async def main() -> None:
    at = place()
    seen = 0
    async with open_consumer(at) as consumer:
        begin = time.perf_counter()
        while seen < at.events:
            fetched = await consumer.getmany(timeout_ms=1000, max_records=at.settings.batch_records)
            seen += sum(map(len, fetched.values()))
        seconds = time.perf_counter() - begin
    print(json.dumps({"events": seen, "seconds": seconds}))


if __name__ == "__main__":
    asyncio.run(main())
