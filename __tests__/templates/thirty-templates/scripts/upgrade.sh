#!/bin/sh
set -eu
echo upgraded
