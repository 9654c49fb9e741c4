#!/bin/sh
set -eu
echo prepared >/tmp/prepared
