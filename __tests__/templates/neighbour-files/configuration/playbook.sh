#!/bin/sh
set -eu
echo "version $AMI_VERSION" >/tmp/version
