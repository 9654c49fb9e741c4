#!/bin/sh
set -eu
sh /tmp/start.sh
