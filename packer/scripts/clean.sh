#!/bin/sh
# The last script: removes what belongs to the build instance, or to the user who built.
set -eu

if command -v dnf >/dev/null; then
  dnf clean all
elif [ -d /var/lib/apt/lists ]; then
  rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
fi

# Every instance creates its own host keys and gets its own authorized keys.
rm -f /etc/ssh/ssh_host_*
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /root/.bash_history /home/*/.bash_history

! command -v cloud-init >/dev/null || cloud-init clean --logs
rm -rf /var/lib/amazon/ssm/* /var/lib/dhcp/*

# Empty, not absent: systemd then creates a new one at the first boot.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id

rm -rf /tmp/* /var/tmp/*
find /var/log -type f -exec truncate --size 0 {} +
sync
