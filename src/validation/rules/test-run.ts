import { createHash } from 'node:crypto';
import { type TagScheme, type Tags, tagKey } from '../../model/image.ts';
import { TOKEN_PREFIX } from '../../model/patterns.ts';

/** A test instance: its identity, its tags, and its self-termination. */

export interface TestRunId {
  readonly repository: string;
  readonly runId: string;
  readonly attempt: string;
  readonly job: string;
  readonly region: string;
  /** Unique per process, so that two legs of a matrix never share an instance: GITHUB_JOB is the same for all of them. */
  readonly leg: string;
}

export const toTestRunId = (
  run: { repository: string; id: string; attempt: string; job: string },
  region: string,
  leg: string,
): TestRunId => ({
  ...{ repository: run.repository, runId: run.id, attempt: run.attempt, job: run.job },
  ...{ region, leg },
});

export interface Attempt {
  readonly imageId: string;
  readonly instanceType: string;
  readonly subnetId: string | undefined;
  /** How many launches this process tried before. */
  readonly ordinal: number;
}

/** https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html: at most 64 characters; a terminated instance holds its token for a day. */
export const launchToken = (testRunId: TestRunId, attempt: Attempt): string => {
  const { repository, runId, job, region, leg } = testRunId;
  const parts = [repository, runId, testRunId.attempt, job, region, leg, 'validate'];
  const request = [attempt.imageId, attempt.instanceType, attempt.subnetId ?? '', String(attempt.ordinal)];
  const hash = createHash('sha256').update(JSON.stringify([...parts, ...request]));
  return `${TOKEN_PREFIX}${hash.digest('hex')}`.slice(0, 64);
};

export const PURPOSE = 'validate';

/** Tags of the instance and its volumes; the sweep of a later run reads them. */
export const testInstanceTags = (
  testRunId: TestRunId,
  launch: { family: string; imageId: string; endsAt: Date; tags: Tags },
  scheme: TagScheme,
): Tags => ({
  ...launch.tags,
  Name: `ami-action validates ${launch.imageId}`,
  ManagedBy: 'ami-action',
  [tagKey(scheme, 'purpose')]: PURPOSE,
  [tagKey(scheme, 'family')]: launch.family,
  [tagKey(scheme, 'repository')]: testRunId.repository,
  [tagKey(scheme, 'run')]: `${testRunId.runId}/${testRunId.attempt}`,
  [tagKey(scheme, 'expires-at')]: launch.endsAt.toISOString(),
});

export interface LeftoverInstance {
  readonly id: string;
  readonly state: string;
  readonly tags: Tags;
  readonly clientToken: string | undefined;
}

/**
 * Why another run may terminate a test instance; undefined while it may be in use. Its expiry tag decides, or that an earlier attempt of this run left it. Tags
 * alone do not make it ours: its client token must be one of the action.
 */
export function leftoverReason(instance: LeftoverInstance, testRunId: TestRunId, scheme: TagScheme, now: number): string | undefined {
  const tag = (key: 'purpose' | 'expires-at' | 'run' | 'repository') => instance.tags[tagKey(scheme, key)];
  if (instance.clientToken?.startsWith(TOKEN_PREFIX) !== true) return undefined;
  if (tag('purpose') !== PURPOSE || instance.state === 'terminated' || instance.state === 'shutting-down') return undefined;
  const expires = Date.parse(tag('expires-at') ?? '');
  if (expires < now) return `it expired at ${tag('expires-at')}`;
  const [id, attempt] = (tag('run') ?? '').split('/');
  if (tag('repository') !== testRunId.repository || id !== testRunId.runId || !(Number(attempt) < Number(testRunId.attempt)))
    return undefined;
  return `attempt ${attempt} of this run did not terminate it`;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
const MOST_USER_DATA_BYTES = 16 * 1024;

/**
 * User data with self-termination at an absolute time, by a shutdown that EC2 turns into termination. A boothook runs at every boot, so a reboot does not cancel
 * it; the user's own data stays a part of the message. https://cloudinit.readthedocs.io/en/latest/explanation/format.html
 */
export function withSelfTermination(own: string | undefined, endsAt: Date): string {
  const parts = [part('text/cloud-boothook', selfTermination(endsAt)), ...(own === undefined || own.trim() === '' ? [] : [ownPart(own)])];
  const boundary = `ami-action-${createHash('sha256').update(parts.join('')).digest('hex').slice(0, 32)}`;
  const head = `MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="${boundary}"\n`;
  return `${head}\n--${boundary}\n${parts.join(`\n--${boundary}\n`)}\n--${boundary}--\n`;
}

/** Why EC2 would refuse the user data; undefined where it would not. */
export const userDataProblem = (own: string | undefined): string | undefined => {
  const bytes = Buffer.byteLength(withSelfTermination(own, new Date(0)));
  return bytes <= MOST_USER_DATA_BYTES
    ? undefined
    : `"user-data" is too long: ${bytes} bytes with self-termination, EC2 accepts ${MOST_USER_DATA_BYTES}`;
};

const part = (type: string, content: string) => `Content-Type: ${type}; charset="utf-8"\n\n${content}`;

// cloud-init reads the type from the first line; a multipart message has its own headers.
function ownPart(own: string): string {
  const text = own.replace(/\r\n/g, '\n');
  if (/^(content-type|mime-version):/i.test(text)) return text;
  const types = [
    ['#cloud-config', 'text/cloud-config'],
    ['#cloud-boothook', 'text/cloud-boothook'],
    ['#include-once', 'text/x-include-once-url'],
    ['#include', 'text/x-include-url'],
    ['## template: jinja', 'text/jinja2'],
  ] as const;
  return part(types.find(([first]) => text.startsWith(first))?.[1] ?? 'text/x-shellscript', text);
}

// A timer of systemd; without systemd a sleeping process. On Debian a boothook runs before sysinit.target, for which a timer waits by default:
// systemd-run would never return, and the instance never boot. https://github.com/canonical/cloud-init/issues/7052
const selfTermination = (endsAt: Date): string => `#!/bin/sh
# Test instance of ami-action. It terminates itself at ${endsAt.toISOString()} at the latest.
left=$((${Math.floor(endsAt.getTime() / 1000)} - $(date +%s)))
[ "$left" -gt 1 ] || left=1
timeout 30 systemd-run --quiet --on-active="$left" --timer-property=AccuracySec=1s \\
  --timer-property=DefaultDependencies=no --property=DefaultDependencies=no shutdown -h now 2>/dev/null && exit 0
setsid sh -c "sleep $left; shutdown -h now || poweroff -f" > /dev/null 2>&1 < /dev/null &
`;
