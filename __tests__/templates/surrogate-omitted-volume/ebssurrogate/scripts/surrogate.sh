#!/bin/sh
set -eu
echo "version $VERSION, $ARGS" >/tmp/surrogate.log
