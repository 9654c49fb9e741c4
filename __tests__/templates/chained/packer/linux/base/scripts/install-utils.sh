#!/bin/sh
set -eu
echo base >/tmp/utils
