#!/bin/sh
set -eu
mkdir -p /tmp/data
