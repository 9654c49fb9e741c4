#!/bin/sh
set -eu
echo "cni $CNI, containerd $CONTAINERD" >/tmp/versions
