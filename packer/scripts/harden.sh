#!/bin/sh
# Hardening for an image on the internet.
set -eu

install -d -m 0755 /etc/ssh/sshd_config.d
cat >/etc/ssh/sshd_config.d/10-hardening.conf <<'CONF'
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
X11Forwarding no
AllowAgentForwarding no
MaxAuthTries 3
LoginGraceTime 30
CONF
chmod 0600 /etc/ssh/sshd_config.d/10-hardening.conf
# An invalid file would prevent every login to instances of this image.
[ ! -x /usr/sbin/sshd ] || [ ! -f /etc/ssh/sshd_config ] || /usr/sbin/sshd -t

install -d -m 0755 /etc/sysctl.d /etc/security/limits.d
cat >/etc/sysctl.d/60-hardening.conf <<'CONF'
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 2
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv6.conf.all.accept_redirects = 0
fs.suid_dumpable = 0
CONF
echo '* hard core 0' >/etc/security/limits.d/60-no-core.conf

chmod 0700 /root
[ ! -f /etc/crontab ] || chmod 0600 /etc/crontab
[ ! -f /etc/gshadow ] || chmod o-rwx /etc/gshadow
chmod o-rwx /etc/shadow
