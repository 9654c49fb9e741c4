#!/bin/sh
# Installs the service from /tmp/app, where Packer uploads it.
set -eu

if ! command -v python3 >/dev/null; then
  if command -v dnf >/dev/null; then
    dnf install --assumeyes python3
  else
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install --yes --no-install-recommends python3
  fi
fi

# Amazon Linux and Ubuntu include the agent, Debian does not. Mode validate needs it to run checks.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/agent-install-deb.html
if ! command -v amazon-ssm-agent >/dev/null && [ ! -d /snap/amazon-ssm-agent ] && command -v dpkg >/dev/null; then
  deb="https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/debian_$(dpkg --print-architecture)/amazon-ssm-agent.deb"
  python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' "$deb" /tmp/amazon-ssm-agent.deb
  dpkg --install /tmp/amazon-ssm-agent.deb
  systemctl enable amazon-ssm-agent.service
fi

id web >/dev/null 2>&1 || useradd --system --home-dir /opt/web --no-create-home --shell /usr/sbin/nologin web

install -d -m 0755 /opt/web
install -m 0644 /tmp/app/server.py /opt/web/server.py
install -m 0644 /tmp/app/web.service /etc/systemd/system/web.service
echo "$APP_VERSION" >/opt/web/version
chmod 0644 /opt/web/version

systemctl daemon-reload
systemctl enable web.service
rm -rf /tmp/app
