#!/bin/sh
set -eu
rm -f /tmp/utils
