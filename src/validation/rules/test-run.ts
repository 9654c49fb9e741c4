import { createHash } from 'node:crypto';
import { type TagScheme, type Tags, tagKey } from '../../model/image.ts';

/** A machine that is made to try an image and must not outlive that: what it is called, who it belongs to, when it ends. */

export interface TestRunId {
  readonly repository: string;
  readonly runId: string;
  readonly attempt: string;
  readonly job: string;
  readonly region: string;
  /** Unlike in every other process, so that two legs of a matrix never get the same machine: GITHUB_JOB is the same for all of them. */
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
  /** How many machines this process asked for before. */
  readonly ordinal: number;
}

/** https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html: at most 64 characters, and dead machines are remembered for a day. */
export const launchToken = (testRunId: TestRunId, attempt: Attempt): string => {
  const parts = [testRunId.repository, testRunId.runId, testRunId.attempt, testRunId.job, testRunId.region, testRunId.leg, 'validate'];
  const request = [attempt.imageId, attempt.instanceType, attempt.subnetId ?? '', String(attempt.ordinal)];
  return createHash('sha256')
    .update(JSON.stringify([...parts, ...request]))
    .digest('hex');
};

export const PURPOSE = 'validate';

/** As tags of the machine and its volumes; the sweep of a later run reads them. */
export const testInstanceTags = (
  testRunId: TestRunId,
  testRun: { family: string; imageId: string; endsAt: Date; own: Tags },
  scheme: TagScheme,
): Tags => ({
  ...testRun.own,
  Name: `ami-action validates ${testRun.imageId}`,
  ManagedBy: 'ami-action',
  [tagKey(scheme, 'purpose')]: PURPOSE,
  [tagKey(scheme, 'family')]: testRun.family,
  [tagKey(scheme, 'repository')]: testRunId.repository,
  [tagKey(scheme, 'run')]: `${testRunId.runId}/${testRunId.attempt}`,
  [tagKey(scheme, 'expires-at')]: testRun.endsAt.toISOString(),
});

export interface Leftover {
  readonly id: string;
  readonly state: string;
  readonly tags: Tags;
}

/**
 * Why a test machine may be ended by somebody else's run; undefined while it may be in use. Never by age alone: its own tag says until when it is needed, and
 * only an earlier attempt of the same run is known to be over.
 */
export function leftoverReason(instance: Leftover, testRunId: TestRunId, scheme: TagScheme, now: number): string | undefined {
  const tag = (key: 'purpose' | 'expires-at' | 'run' | 'repository') => instance.tags[tagKey(scheme, key)];
  if (tag('purpose') !== PURPOSE || instance.state === 'terminated' || instance.state === 'shutting-down') return undefined;
  const expires = Date.parse(tag('expires-at') ?? '');
  if (expires < now) return `it was needed until ${tag('expires-at')}`;
  const [id, attempt] = (tag('run') ?? '').split('/');
  if (tag('repository') !== testRunId.repository || id !== testRunId.runId || !(Number(attempt) < Number(testRunId.attempt)))
    return undefined;
  return `attempt ${attempt} of this run left it behind`;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
const MOST_USER_DATA_BYTES = 16 * 1024;

/**
 * The last resort: the machine ends itself at an absolute time, which shutdown turns into termination. A boothook runs at every boot, so a reboot does not
 * stop it; the user's own data stays a part beside it. https://cloudinit.readthedocs.io/en/latest/explanation/format.html
 */
export function withSelfTermination(own: string | undefined, endsAt: Date): string {
  const parts = [part('text/cloud-boothook', selfTermination(endsAt)), ...(own === undefined || own.trim() === '' ? [] : [ownPart(own)])];
  const boundary = `ami-action-${createHash('sha256').update(parts.join('')).digest('hex').slice(0, 32)}`;
  const head = `MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="${boundary}"\n`;
  return `${head}\n--${boundary}\n${parts.join(`\n--${boundary}\n`)}\n--${boundary}--\n`;
}

/** What is wrong with the user's own user data, before EC2 says it. */
export const userDataProblem = (own: string | undefined): string | undefined => {
  const bytes = Buffer.byteLength(withSelfTermination(own, new Date(0)));
  return bytes <= MOST_USER_DATA_BYTES
    ? undefined
    : `"user-data" is too long: ${bytes} bytes with the timer that ends the machine, EC2 takes ${MOST_USER_DATA_BYTES}`;
};

const part = (type: string, content: string) => `Content-Type: ${type}; charset="utf-8"\n\n${content}`;

// The first line tells cloud-init what it is; a message that is multipart itself has its own headers.
function ownPart(own: string): string {
  const text = own.replace(/\r\n/g, '\n');
  if (/^(content-type|mime-version):/i.test(text)) return text;
  const types = [
    ['#cloud-config', 'text/cloud-config'],
    ['#cloud-boothook', 'text/cloud-boothook'],
    ['#include', 'text/x-include-url'],
    ['## template: jinja', 'text/jinja2'],
  ] as const;
  return part(types.find(([first]) => text.startsWith(first))?.[1] ?? 'text/x-shellscript', text);
}

// systemd's timer where there is systemd; else a process of its own that sleeps.
const selfTermination = (endsAt: Date): string => `#!/bin/sh
# This machine tries out an image. It ends itself at ${endsAt.toISOString()}, whoever may have forgotten it.
left=$((${Math.floor(endsAt.getTime() / 1000)} - $(date +%s)))
[ "$left" -gt 1 ] || left=1
systemd-run --quiet --on-active="$left" --timer-property=AccuracySec=1s shutdown -h now 2>/dev/null && exit 0
setsid sh -c "sleep $left; shutdown -h now || poweroff -f" > /dev/null 2>&1 < /dev/null &
`;
