#!/bin/sh
set -eu
echo gpu >/tmp/flavour
