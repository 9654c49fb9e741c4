import { posix as pathOf } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Check, Delivered } from './checks.ts';
import { shellWord } from './checks-shell.ts';

export interface ScriptPlan {
  readonly checks: readonly Check[];
  /** Per check: the files that its `script` and `files` name. */
  readonly deliveries: readonly (readonly Delivered[])[];
  /** Marks the lines of our report; secret to the checks. */
  readonly nonce: string;
  /** The script ends by itself before this, so that the results so far are reported. */
  readonly withinSeconds: number;
  /** The boot before the reboot: in it the script does nothing. */
  readonly since?: string | undefined;
}

/** Run Command returns the first 24,000 characters. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html */
const REPORT_CHARACTERS = 23_000;

// Not documented for parameters; documents end at 64 KB. https://docs.aws.amazon.com/general/latest/gr/ssm.html
export const MOST_SCRIPT_CHARACTERS = 40_000;

/**
 * All checks as one shell script. The output of a check goes to a file; only its end, in base64, goes into the report, so a check cannot forge report lines.
 * The exit code agrees with the report and decides.
 */
export function checksScript(plan: ScriptPlan): string {
  const calls = plan.checks.flatMap((check, index) => [
    ...(plan.deliveries[index] ?? []).map(file => deliver(index, file)),
    call(check, index),
  ]);
  const script = [preamble(plan), RUNNER, ...calls, REPORT].join('\n');
  return script.length <= 30_000 ? script : packed(script);
}

const base64 = (content: string | Uint8Array): string => Buffer.from(content).toString('base64');

/** Exit code of the script in the boot `since`. */
export const TOO_EARLY = 92;

const preamble = ({ nonce, withinSeconds, checks, since }: ScriptPlan): string =>
  `#!/bin/sh\nnonce=${nonce} within=${withinSeconds} count=${checks.length} budget=${REPORT_CHARACTERS} since=${shellWord(since ?? '')}`;

/** Compresses a long script. */
const packed = (script: string): string => `#!/bin/sh
packed=$(mktemp) || packed=/run/ami-action-checks
echo ${base64(gzipSync(script, { level: 9 }))} | base64 -d | gzip -d > "$packed" || { echo 'cannot unpack the checks: the disk is full, or gzip is missing' >&2; exit 90; }
sh "$packed"; code=$?; rm -f "$packed"; exit $code`;

function call(check: Check, index: number): string {
  const { severity, exitCode, timeLimitSeconds, retryForSeconds, expect, forbid } = check;
  const text = check.script === undefined ? check.command : runs(relative(check.script));
  const words = [index, severity, exitCode, timeLimitSeconds, retryForSeconds, base64(expect ?? '') || '-', base64(forbid ?? '') || '-'];
  return `check ${words.join(' ')} ${base64(text)}`;
}

const runs = (script: string): string => `cd ${shellWord(pathOf.dirname(script))} && exec ${shellWord(`./${pathOf.basename(script)}`)}`;

/** Files keep their relative paths; the script runs in its own folder. */
const deliver = (index: number, { path, content, executable }: Delivered): string =>
  `deliver ${index} ${shellWord(relative(path))} ${executable ? 755 : 644} ${base64(content) || '-'}`;

const relative = (path: string) => path.replaceAll('\\', '/').replace(/^(\.?\/)+/, '');

// Systems Manager interprets {{ }} in parameters, and quoting is error-prone: all text from outside is in base64.
const RUNNER = `
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="\${HOME:-/root}"
export PATH HOME
umask 077
# The kernel's ID of this boot and the start of process 1: together they change with every reboot.
# Field 22 of the stat: ticks since the kernel started. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
stat1=$(cat /proc/1/stat); set -- \${stat1##*) }; shift 19
boot="$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)-$1"
[ "$boot" != "\${since%@*}" ] || exit 92
# When the first boot began, with two seconds for rounding: what is older comes from the build.
read -r up _ < /proc/uptime
AMI_ACTION_BOOTED=$(( $(date +%s) - \${up%.*} + $1 / $(getconf CLK_TCK 2>/dev/null || echo 100) - 2 ))
[ "\${since%@*}" = "$since" ] || AMI_ACTION_BOOTED=\${since#*@}
export AMI_ACTION_BOOTED
dir=
for place in /tmp /dev/shm /run; do
  # On a full disk mkdir works, but a file stays empty.
  dir=$(mktemp -d "$place/ami-action-XXXXXX" 2>/dev/null) && (echo "$nonce" > "$dir/probe") 2>/dev/null && [ -s "$dir/probe" ] && break
  [ -z "$dir" ] || rm -rf "$dir"; dir=
done
[ -n "$dir" ] || { echo "no space for a file in /tmp, /dev/shm or /run: the disk is full" >&2; exit 90; }
trap 'cd /; rm -rf "$dir"' EXIT
trap 'exit 91' HUP INT TERM
# A request whose answer was lost is repeated, and both scripts run: the second waits for the report of the first, whose command ID was lost with it.
twin=/run/ami-action-checks-$(printf %s "$nonce$since" | cksum | cut -d ' ' -f 1)
if ! mkdir "$twin" 2>/dev/null && [ -d "$twin" ]; then
  while [ ! -e "$twin/code" ] && [ "$within" -gt -20 ]; do sleep 1; within=$((within - 1)); done
  cat "$twin/report"; exit "$(cat "$twin/code" || echo 91)"
fi
now() { read -r up _ < /proc/uptime; echo "\${up%.*}\${up#*.}"; }
decoded() { [ "$1" = - ] || printf %s "$1" | base64 -d; }
if command -v timeout > /dev/null; then limited() { timeout -k 5 "$@"; }; else limited() { shift; "$@"; }; fi
if command -v bash > /dev/null; then shell='bash --noprofile --norc -eo pipefail'; else shell='sh -e'; fi
began=$(now) failed=0 bad=0 good=0 records=

deliver() { # index path mode content
  mkdir -p "$dir/$1.d/$(dirname "$2")" && decoded "$4" > "$dir/$1.d/$2" && chmod "$3" "$dir/$1.d/$2"
}

once() { # index seconds
  (
    mkdir -p "$dir/$1.tmp"; export TMPDIR="$dir/$1.tmp"
    cd "$dir/$1.d" 2>/dev/null || cd /
    case "$(head -c 2 "$dir/$1.sh")" in
      '#!') chmod 700 "$dir/$1.sh"; limited "$2" "$dir/$1.sh" ;;
      *) limited "$2" $shell "$dir/$1.sh" ;;
    esac
  ) > "$dir/$1.out" 2>&1 < /dev/null
}

judge() { # index exit-code wanted-code centiseconds limit-seconds
  if [ "$2" != "$3" ] && [ "$4" -ge $(($5 * 100)) ]; then echo time; return; fi
  if [ "$2" != "$3" ]; then echo code; return; fi
  if [ -s "$dir/$1.expect" ]; then grep -E -q -f "$dir/$1.expect" "$dir/$1.out" || { echo expect; return; }; fi
  if [ -s "$dir/$1.forbid" ]; then
    grep -E -q -f "$dir/$1.forbid" "$dir/$1.out"
    # 2 is a pattern that grep rejects: that does not prove absence.
    [ $? = 1 ] || { echo forbid; return; }
  fi
  echo ok
}

check() { # index severity exit-code limit retry-for expect forbid command
  decoded "$8" > "$dir/$1.sh"; decoded "$6" > "$dir/$1.expect"; decoded "$7" > "$dir/$1.forbid"
  first=$(now) tries=0 code=-1 result=skipped
  while :; do
    left=$((within - ($(now) - began) / 100))
    [ "$left" -gt 0 ] || break
    limit=$4; [ "$limit" -le "$left" ] || limit=$left
    tries=$((tries + 1)) start=$(now) code=0
    once "$1" "$limit" || code=$?
    result=$(judge "$1" "$code" "$3" $(($(now) - start)) "$limit")
    [ "$result" != ok ] && [ $(($(now) - began)) -lt $(($5 * 100)) ] || break
    sleep 1
  done
  [ -f "$dir/$1.out" ] || : > "$dir/$1.out"
  if [ "$result" = ok ]; then good=$((good + 1)); else bad=$((bad + 1)); [ "$2" = warn ] || failed=$((failed + 1)); fi
  # Not in a file: a check runs as root and could write there.
  records="$records$1 $result $code $(($(now) - first)) $tries $(($(wc -c < "$dir/$1.out")))
"
}
`;

// Failed checks share the space of the answer; passed ones get the rest.
const REPORT = `
share() { # characters parts most
  [ "$2" -gt 0 ] || { echo 0; return; }
  each=$(($1 / $2 * 3 / 4)); [ "$each" -gt 0 ] || each=0; [ "$each" -le "$3" ] || each=$3
  echo "$each"
}
room=$((budget - count * 64))
tail_bad=$(share "$room" "$bad" 3000)
tail_good=$(share $((room - bad * tail_bad * 4 / 3)) "$good" 200)
report() {
echo "$nonce begin $count $boot@$AMI_ACTION_BOOTED"
printf %s "$records" | while read -r index result rest; do
  most=$tail_bad; [ "$result" != ok ] || most=$tail_good
  excerpt=$(tail -c "$most" "$dir/$index.out" | base64 | tr -d '\\n')
  echo "$nonce $index $result $rest \${excerpt:--}"
done
echo "$nonce end $failed"
}
report | tee "$twin/report" 2>/dev/null
[ "$failed" = 0 ] || failed=1
(echo "$failed" > "$twin/new" && mv "$twin/new" "$twin/code") 2>/dev/null
exit "$failed"`;
