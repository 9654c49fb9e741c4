#!/bin/sh
set -eu
echo "agent $AGENT_VERSION in $REGION" >/tmp/agent
