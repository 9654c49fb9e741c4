#!/bin/sh
set -eu
echo "$OS" >/tmp/os
