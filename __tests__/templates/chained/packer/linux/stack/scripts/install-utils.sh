#!/bin/sh
set -eu
echo stack >/tmp/utils
