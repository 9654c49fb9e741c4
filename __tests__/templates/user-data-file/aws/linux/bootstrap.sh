#!/bin/sh
set -eu
echo bootstrapped
