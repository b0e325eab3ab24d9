#!/bin/sh
# Whether the process that this container was started for does its work. Exit code 0: it does.
#
#   healthy [COMMAND LINE]
#
# The command line says what it is; without one, that of the container's first process does.
set -eu

answers() {
  python -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=10)' "$1"
}

asked=${1-$(tr '\0' ' ' </proc/1/cmdline)}
service=http://127.0.0.1:${SUNRIZA_PORT:-8080}
case $asked in
  *dagster-webserver*) answers http://127.0.0.1:3000/server_info ;;
  *"api grpc"* | *code-server*) dagster api grpc-health-check --port "${DAGSTER_GRPC_PORT:-4000}" ;;
  *dagster-daemon*) dagster-daemon liveness-check ;;
  *" worker "*) sunriza worker --ping ;;
  *" serve --only api"*) answers "$service/health/live" ;;
  *" serve --only engine"*)
    python -c 'import socket
from resources.settings import current_settings
from sunriza_assets.service.engine_wire import engine_socket
socket.socket(socket.AF_UNIX).connect(str(engine_socket(current_settings().home)))'
    ;;
  *" serve --only dispatcher"*)
    python -c 'import sys
from datetime import UTC, datetime
from resources.orders.open import open_orders
lease = open_orders().lease("dispatcher")
sys.exit(lease is None or lease.until < datetime.now(UTC))'
    ;;
  *" serve"*) answers "$service/health/ready" ;;
  *) sunriza doctor >/dev/null ;;
esac
