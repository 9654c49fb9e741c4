#!/bin/sh
set -eu
echo installed
