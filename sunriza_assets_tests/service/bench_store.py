"""CPU milliseconds of the order store: `python -m sunriza_assets_tests.service.bench_store`.

With a Postgres URL as its argument it measures that; else SQLite in a folder of its own.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from resources.orders.postgres import PostgresOrders
from resources.orders.sqlite import SqliteOrders
from sunriza_assets.service.bench.store import bench_orders

if __name__ == "__main__":
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        store = (
            PostgresOrders(sys.argv[1])
            if len(sys.argv) > 1
            else SqliteOrders(Path(folder) / "service.db")
        )
        sys.stdout.write(json.dumps(dict(bench_orders(store)), indent=2) + "\n")
        store.close()
