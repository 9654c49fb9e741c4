/** Shell of the ready-made checks: bash or sh under -e, as root, with nothing that a base system lacks. What fails says what it saw. */

/** Any text as one word of shell. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * A unit that is still starting gets half a minute; one that has failed is told at once. One that dies and is restarted is active at nearly every look, so it must
 * live on for a moment, and for longer where it was restarted before: then it may be between two deaths.
 */
export const service = (name: string, enabled: boolean): string => `
unit=${shellWord(name)}
state() { systemctl "$1" "$unit" 2>/dev/null || true; }
moments=0
while [ "$(state is-active)" = activating ] && [ "$moments" -lt 30 ]; do moments=$((moments + 1)); sleep 1; done
wrong() { systemctl status --no-pager --full --lines=20 "$unit" 2>&1 || true; echo "$unit $1"; exit 1; }
now=$(state is-active)
[ "$now" = active ] || wrong "is \${now:-unknown}, not active"
life() { systemctl show --property=MainPID,NRestarts "$unit" 2>/dev/null || true; }
before=$(life)
case "$before" in *NRestarts=[1-9]*) moments=${STEADY_SECONDS} ;; *) moments=2 ;; esac
while [ "$moments" -gt 0 ]; do
  moments=$((moments - 1))
  sleep 1
  now=$(state is-active)
  [ "$now" = active ] && [ "$(life)" = "$before" ] || wrong "is \${now:-unknown} now and was active before: it dies and is restarted"
done
${enabled ? isEnabled : ''}`;

/** As long as systemd counts starts by default, and a half: who lives on for that is not in a loop. */
const STEADY_SECONDS = 15;

const isEnabled = `
now=$(state is-enabled)
case "$now" in
  enabled* | static | alias | indirect | generated) ;;
  *) echo "$unit is active, but \${now:-not enabled}: the next machine will not start it"; exit 1 ;;
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
  *) echo "nothing listens on port ${port}; listened on:\${open:- none}"; exit 1 ;;
esac`;

export const http = (want: { port: string; path: string; status: string; host: string; tls: boolean }): string => `
host=${shellWord(want.host)} path=${shellWord(want.path)}
if command -v curl > /dev/null; then
  got=$(curl --silent --show-error --insecure --max-time 20 --connect-to "::localhost:" --output "$TMPDIR/body" --write-out '%{http_code}' \\
    "${want.tls ? 'https' : 'http'}://$host:${want.port}$path") || { echo "GET $path on port ${want.port}: no answer"; exit 1; }
else
  ${want.tls ? 'echo "https needs curl on the image"; exit 1' : plainGet(want.port)}
fi
if [ "$got" != ${want.status} ]; then
  head -c 1000 "$TMPDIR/body" 2>/dev/null || true
  echo
  echo "GET $path on port ${want.port} answered $got, not ${want.status}"
  exit 1
fi`;

const plainGet = (port: string): string => `exec 3<> /dev/tcp/localhost/${port}
  printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$path" "$host" >&3
  read -r _ got _ <&3; cat <&3 > "$TMPDIR/body"`;

export const path = (want: { path: string; type?: string | undefined; owner?: string | undefined; mode?: string | undefined }): string => {
  const tests: Readonly<Record<string, string>> = { file: '-f', directory: '-d', executable: '-x' };
  const isType = want.type === undefined ? [] : [`[ ${tests[want.type]} "$path" ] || wrong "is no ${want.type}"`];
  const owner =
    want.owner === undefined
      ? []
      : [
          `owner=$(stat -L -c ${want.owner.includes(':') ? '%U:%G' : '%U'} "$path")`,
          `[ "$owner" = ${shellWord(want.owner)} ] || wrong "belongs to $owner"`,
        ];
  const mode =
    want.mode === undefined ? [] : ['mode=$(stat -L -c %a "$path")', `[ "$((0$mode))" = "$((0${want.mode}))" ] || wrong "has mode $mode"`];
  return [
    `path=${shellWord(want.path)}`,
    'wrong() { ls -ld "$path" 2>&1 || true; echo "$path $1"; exit 1; }',
    '[ -e "$path" ] || wrong "is not there"',
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

// Debian's epoch is no part of what people call the version; 1.2 means 1.2 and 1.2.x, not 1.20.
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
  echo "cloud-init is not clean (exit code $code)"
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
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }`;

export const disk = (want: { path: string; free: number; inodes: number }): string => `
path=${shellWord(want.path)}
used() { df -P "$@" "$path" | tail -n 1 | sed 's/.* \\([0-9][0-9]*\\)% .*/\\1/'; }
space=$((100 - $(used))) inodes=$(used -i)
df -hP "$path" || true
# File systems without a fixed number of inodes say "-".
case "$inodes" in *[!0-9]* | '') inodes=100 ;; *) inodes=$((100 - inodes)) ;; esac
[ "$space" -ge ${want.free} ] || { echo "$path has $space% of its space left, less than ${want.free}%"; exit 1; }
[ "$inodes" -ge ${want.inodes} ] || { echo "$path has $inodes% of its inodes left, less than ${want.inodes}%"; exit 1; }`;

/**
 * Host keys are made anew at each first boot, so only files older than this boot are left over. The age is measured against process 1: field 22 of its stat,
 * in ticks since the kernel started. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
export const leftovers = (except: readonly string[]): string => `
read -r up _ < /proc/uptime
stat1=$(cat /proc/1/stat); set -- \${stat1##*) }
shift 19
# Two seconds for rounding; a builder ends long before its image is made.
booted=$(( $(date +%s) - \${up%.*} + $1 / $(getconf CLK_TCK 2>/dev/null || echo 100) - 2 ))
found=
suspect() {
  case "$1" in ${except.map(shellWord).join(' | ') || "''"}) return 0 ;; esac
  [ -s "$1" ] && [ "$(stat -c %Y "$1")" -lt "$booted" ] || return 0
  found=yes; echo "left over: $1 ($2)"
}
for file in /etc/ssh/ssh_host_*_key; do suspect "$file" "host key: every machine of this image would share it"; done
for home in /root /home/*; do
  suspect "$home/.ssh/authorized_keys" "somebody can log in to every machine of this image"
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
echo "the SSM agent is not enabled: it runs now, the next machine may not start it"
exit 1`;
