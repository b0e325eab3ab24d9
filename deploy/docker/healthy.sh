#!/bin/sh
# Whether the process that this container was started for does its work. Exit code 0: it does.
#
#   healthy [COMMAND LINE]
#
# The command line says what it is; without one, that of the container's first process does.
set -eu

asked=${1-$(tr '\0' ' ' </proc/1/cmdline)}
case $asked in
  *dagster-webserver*) python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:3000/server_info", timeout=10)' ;;
  *"api grpc"* | *code-server*) dagster api grpc-health-check --port "${DAGSTER_GRPC_PORT:-4000}" ;;
  *dagster-daemon*) dagster-daemon liveness-check ;;
  *" worker "*) sunriza worker --ping ;;
  *) sunriza doctor >/dev/null ;;
esac
