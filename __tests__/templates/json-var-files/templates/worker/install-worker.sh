#!/bin/sh
set -eu
echo "node $NODE_VERSION" >/tmp/worker/release
