#!/bin/sh
set -eu
echo cpu >/tmp/flavour
