/** Shell of the ready-made checks: bash or sh under -e, as root, with tools of a base system. A failure prints what was found. */

/** Any text as one word of shell. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * A unit that is starting gets half a minute; a failed one is reported at once. A unit in a restart loop is active most of the time, so it must keep its process
 * for a moment, and for longer if it was restarted before.
 */
export const service = (name: string, enabled: boolean): string => `
unit=${shellWord(name)}
state() { systemctl "$1" "$unit" 2>/dev/null || true; }
moments=0
while [ "$(state is-active)" = activating ] && [ "$moments" -lt 30 ]; do moments=$((moments + 1)); sleep 1; done
wrong() {
  code=0; systemctl status --no-pager --full --lines=20 "$unit" 2>&1 || code=$?
  # https://www.freedesktop.org/software/systemd/man/latest/systemctl.html#Exit%20status
  [ "$code" != 4 ] || { echo "there is no unit $unit"; exit 1; }
  echo "$unit $1"; exit 1
}
now=$(state is-active)
[ "$now" = active ] || wrong "is \${now:-unknown}, not active"
life() { systemctl show --property=MainPID,NRestarts "$unit" 2>/dev/null || true; }
before=$(life)
case "$before" in *NRestarts=[1-9]*) moments=${STEADY_SECONDS} ;; *) moments=2 ;; esac
while [ "$moments" -gt 0 ]; do
  moments=$((moments - 1))
  sleep 1
  now=$(state is-active)
  [ "$now" = active ] && [ "$(life)" = "$before" ] || wrong "is \${now:-unknown} and was active before: it crashes and is restarted"
done
${enabled ? isEnabled : ''}`;

/** One and a half times systemd's default start limit interval. */
const STEADY_SECONDS = 15;

const isEnabled = `
now=$(state is-enabled)
case "$now" in
  enabled* | static | alias | indirect | generated) ;;
  *) echo "$unit is active, but \${now:-not enabled}: the next instance does not start it"; exit 1 ;;
esac`;

/** The kernel's own table: state 0A is LISTEN. https://docs.kernel.org/networking/proc_net_tcp.html */
export const listens = (port: number): string => `
open=
for table in /proc/net/tcp /proc/net/tcp6; do
  [ -r "$table" ] || continue
  while read -r _ local _ state _; do
    [ "$state" = 0A ] || continue
    open="$open $((0x\${local##*:}))"
  done < "$table"
done
case "$open " in
  *" ${port} "*) ;;
  *) echo "nothing listens on port ${port}; open ports:\${open:- none}"; exit 1 ;;
esac`;

export const http = (options: { port: string; path: string; status: string; host: string; tls: boolean }): string => `
host=${shellWord(options.host)} path=${shellWord(options.path)}
if command -v curl > /dev/null; then
  got=$(curl --silent --show-error --insecure --max-time 20 --connect-to "::localhost:" --output "$TMPDIR/body" --write-out '%{http_code}' \\
    "${options.tls ? 'https' : 'http'}://$host:${options.port}$path") || { echo "GET $path on port ${options.port}: no answer"; exit 1; }
else
  ${options.tls ? 'echo "tls needs curl in the image"; exit 1' : plainGet(options.port)}
fi
if [ "$got" != ${options.status} ]; then
  head -c 1000 "$TMPDIR/body" 2>/dev/null || true
  echo
  echo "GET $path on port ${options.port} answered $got, not ${options.status}"
  exit 1
fi`;

const plainGet = (port: string): string => `exec 3<> /dev/tcp/localhost/${port}
  printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$path" "$host" >&3
  read -r _ got _ <&3; cat <&3 > "$TMPDIR/body"`;

export const path = (options: {
  path: string;
  type?: string | undefined;
  owner?: string | undefined;
  mode?: string | undefined;
}): string => {
  const tests: Readonly<Record<string, string>> = { file: '-f', directory: '-d', executable: '-x' };
  const isType =
    options.type === undefined
      ? []
      : [`[ ${tests[options.type]} "$path" ] || wrong "is not ${options.type === 'executable' ? 'executable' : `a ${options.type}`}"`];
  const owner =
    options.owner === undefined
      ? []
      : [
          `owner=$(stat -L -c ${options.owner.includes(':') ? '%U:%G' : '%U'} "$path")`,
          `[ "$owner" = ${shellWord(options.owner)} ] || wrong "belongs to $owner"`,
        ];
  const mode =
    options.mode === undefined
      ? []
      : ['mode=$(stat -L -c %a "$path")', `[ "$((0$mode))" = "$((0${options.mode}))" ] || wrong "has mode $mode"`];
  return [
    `path=${shellWord(options.path)}`,
    'wrong() { ls -ld "$path" 2>&1 || true; echo "$path $1"; exit 1; }',
    '[ -e "$path" ] || wrong "does not exist"',
    ...isType,
    ...owner,
    ...mode,
  ].join('\n');
};

export const installed = (name: string, version: string | undefined): string => `
package=${shellWord(name)}
found=$(rpm -q --queryformat '%{VERSION}-%{RELEASE}\\n' "$package" 2>/dev/null | head -n 1) || found=
[ -n "$found" ] || found=$(dpkg-query -W -f '\${db:Status-Abbrev}\${Version}' "$package" 2>/dev/null | sed -n 's/^ii *//p') || found=
[ -n "$found" ] || found=$(apk info -e -v "$package" 2>/dev/null | sed "s/^$package-//") || found=
[ -n "$found" ] || { echo "$package is not installed"; exit 1; }
${version === undefined ? '' : isVersion(version)}`;

// Without Debian's epoch. 1.2 matches 1.2 and 1.2.x, not 1.20.
const isVersion = (version: string): string => `case "\${found#*:}" in
  ${shellWord(version)} | ${shellWord(version)}[!0-9]*) ;;
  *) echo "$package is $found, not ${version.replace(/[^\w.+~-]/g, '?')}"; exit 1 ;;
esac`;

/** Exit code 2 is "done, with recoverable errors". https://docs.cloud-init.io/en/latest/reference/cli.html#status */
export const cloudInit = `
command -v cloud-init > /dev/null || { echo "cloud-init is not installed"; exit 1; }
code=0
cloud-init status --wait --long || code=$?
if [ "$code" != 0 ]; then
  tail -n 20 /var/log/cloud-init-output.log 2>/dev/null || true
  echo "cloud-init has errors (exit code $code)"
  exit 1
fi`;

export const failedUnits = (except: readonly string[]): string => `
failed=
for unit in $(systemctl list-units --state=failed --no-legend --plain --full | sed 's/ .*//'); do
  case "$unit" in
    ${except.flatMap(unit => [shellWord(unit), shellWord(`${unit}.service`)]).join(' | ') || "''"}) ;;
    *) failed="$failed $unit"; systemctl status --no-pager --full --lines=5 "$unit" 2>&1 || true ;;
  esac
done
[ -z "$failed" ] || { echo "failed units:$failed"; exit 1; }`;

export const disk = (options: { path: string; free: number; inodes: number }): string => `
path=${shellWord(options.path)}
used() { df -P "$@" "$path" | tail -n 1 | sed 's/.* \\([0-9][0-9]*\\)% .*/\\1/'; }
space=$((100 - $(used))) inodes=$(used -i)
df -hP "$path" || true
# File systems without a fixed number of inodes say "-".
case "$inodes" in *[!0-9]* | '') inodes=100 ;; *) inodes=$((100 - inodes)) ;; esac
[ "$space" -ge ${options.free} ] || { echo "$path has $space% free space, less than ${options.free}%"; exit 1; }
[ "$inodes" -ge ${options.inodes} ] || { echo "$path has $inodes% free inodes, less than ${options.inodes}%"; exit 1; }`;

/** Host keys are made at the first boot, so only files older than that come from the build. */
export const leftovers = (except: readonly string[]): string => `
found=
suspect() {
  case "$1" in ${except.map(shellWord).join(' | ') || "''"}) return 0 ;; esac
  [ -s "$1" ] && [ "$(stat -c %Y "$1")" -lt "$AMI_ACTION_BOOTED" ] || return 0
  found=yes; echo "from the build: $1 ($2)"
}
for file in /etc/ssh/ssh_host_*_key; do suspect "$file" "host key: all instances of this image share it"; done
for home in /root /home/*; do
  suspect "$home/.ssh/authorized_keys" "its owner can log in to all instances of this image"
  for file in "$home"/.ssh/id_*; do case "$file" in *.pub) ;; *) suspect "$file" "private key" ;; esac; done
  for file in "$home"/.*_history; do suspect "$file" "shell history"; done
  for file in .aws/credentials .git-credentials .netrc .docker/config.json; do suspect "$home/$file" "credentials"; done
done
[ -z "$found" ] || exit 1`;

export const ssmAgent = `
for unit in amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent; do
  now=$(systemctl is-enabled "$unit" 2>/dev/null || true)
  case "$now" in enabled*) exit 0 ;; esac
done
echo "the SSM agent runs but is not enabled: the next instance may not start it"
exit 1`;
