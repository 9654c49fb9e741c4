#!/bin/sh
set -eu
cat /tmp/files/sysctl.conf >/dev/null
