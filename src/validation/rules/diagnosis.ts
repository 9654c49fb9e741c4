import { formatDuration } from '../../kit/format.ts';
import { type Image, identity, newestFirst, type TagScheme } from '../../model/image.ts';
import { mayPass } from '../../model/verdict.ts';
import type { HealthStatus, InstanceStatus } from './instance-states.ts';

/** Whether image or account caused a failure. Only what is certainly the image's fails it; anything else is inconclusive. */

export interface Symptoms {
  readonly instance: InstanceStatus | undefined;
  readonly health: HealthStatus | undefined;
  /** Untrusted: only patterns are looked for. */
  readonly console: string;
  /** When the agent stopped answering; undefined where that was not the failure. */
  readonly silent: 'at boot' | 'during the checks' | 'after the reboot' | undefined;
}

/** `open`: the instance runs, and nothing visible from outside tells image from account. */
export function faultOf({ instance, health, console, silent }: Symptoms): 'image' | 'elsewhere' | 'open' {
  if (/Client\.(InstanceInitiatedShutdown|InvalidSnapshot\.NotFound)/.test(instance?.stateReason ?? '')) return 'image';
  if (health?.system === 'impaired') return 'elsewhere';
  if (health?.instance === 'impaired') return 'image';
  if (silent === undefined || instance?.state !== 'running') return 'elsewhere';
  return isDead(console) ? 'image' : 'open';
}

/** How a control instance booted: same subnet, profile and user data, an image that is known to work. */
export interface Control {
  readonly imageId: string;
  readonly instanceType: string;
  /** From launch to the agent, or to its first command; undefined: it did not get there either. */
  readonly seconds: number | undefined;
  readonly reason: string;
}

/** The newest image of the family that passed; undefined where none did. */
export const controlImage = (image: Image, family: readonly Image[], scheme: TagScheme): Image | undefined =>
  family
    .filter(({ id, state, architecture }) => id !== image.id && state === 'available' && architecture === image.architecture)
    .filter(other => mayPass(other, scheme).ok)
    .sort(newestFirst(scheme))[0];

// Owners of images with a preinstalled agent: Amazon Linux, Ubuntu, SUSE; in AWS, GovCloud and China. Debian's have none.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
const OWNERS_WITH_AGENT: ReadonlySet<string> = new Set([
  ...['137112412989', '045324592363', '141808717104'],
  ...['099720109477', '513442679011', '837727238323'],
  ...['013907871322', '121149139871', '841869936221'],
]);

/** Whether an image is known to have an SSM agent: without one it proves nothing as a control image. */
export const hasAgent = (image: Image, scheme: TagScheme): boolean => OWNERS_WITH_AGENT.has(image.ownerId) || mayPass(image, scheme).ok;

/** The control image of a family without a passed image: the base image, where it has an agent. */
export const baseOf = (image: Image, scheme: TagScheme): string | undefined => identity(image, scheme, 'base-ami');

export interface Launched {
  readonly instanceProfile: string | undefined;
  readonly subnetId: string | undefined;
}

/** What the control instance proves, and the remaining causes, most likely first. */
export function explainSilence(
  { console, silent }: Symptoms,
  launched: Launched,
  control: Control | undefined,
): { readonly result: 'failed' | 'inconclusive'; readonly reason: string } {
  const [ofImage, ofAccount] = [imageCause(silent), accountCauses(launched, silent)];
  if (control === undefined) {
    const open =
      'The cause may be the image or the account: the family has no passed image, and no base image with an SSM agent, to compare with.';
    return { result: 'inconclusive', reason: `${open} ${formatCauses([...consoleCauses(console), ...ofAccount, ofImage])}` };
  }
  const name = `control instance (${control.instanceType}) of ${control.imageId}, in the same subnet and with the same profile`;
  if (control.seconds !== undefined) {
    const proof = `The image is the cause: on a ${name}, the SSM agent ${silent === 'at boot' ? 'was online' : 'ran a command'} ${formatDuration(control.seconds)} after launch.`;
    return { result: 'failed', reason: `${proof} ${formatCauses([...consoleCauses(console), ofImage])}` };
  }
  const same = `The image may not be the cause: a ${name}, failed as well (${control.reason}).`;
  return { result: 'inconclusive', reason: `${same} ${formatCauses([...consoleCauses(console), ...ofAccount])}` };
}

export const formatCauses = (causes: readonly string[]): string =>
  causes.length === 0 ? '' : `Likely causes: ${causes.map((cause, index) => `(${index + 1}) ${cause}`).join('; ')}.`;

const imageCause = (silent: Symptoms['silent']): string => {
  if (silent === 'after the reboot') return 'the image, or its agent, does not boot a second time';
  if (silent === 'during the checks')
    return 'the SSM agent or the network of the instance stopped during the checks, or a check blocked it';
  return 'the image has no SSM agent, or the agent is not enabled';
};

function accountCauses({ instanceProfile, subnetId }: Launched, silent: Symptoms['silent']): readonly string[] {
  // The agent was online before, so profile and route work.
  if (silent !== 'at boot') return ['Systems Manager, or the route to it, failed during the test'];
  const profile =
    instanceProfile === undefined
      ? '"instance-profile" is not set and Default Host Management is off in this region, so the agent has no permissions'
      : `instance profile ${instanceProfile} lacks AmazonSSMManagedInstanceCore`;
  return [
    profile,
    `${subnetId ?? 'the default subnet'} has no route to the SSM endpoints (ssm, ssmmessages, ec2messages): add NAT, a public address or VPC endpoints, and allow port 443 outbound`,
  ];
}

// What an operating system prints when it cannot boot.
const DEAD: readonly (readonly [pattern: RegExp, cause: string])[] = [
  [/Kernel panic/i, 'the kernel panicked'],
  [/VFS: Unable to mount root|unable to mount root fs/i, 'the kernel does not find its root file system'],
  [/You are in (emergency|rescue) mode|Entering emergency mode/i, 'it boots into emergency mode, often because of /etc/fstab'],
];

const SIGNS: readonly (readonly [pattern: RegExp, cause: string])[] = [
  ...DEAD,
  [/Timed out waiting for device/i, 'it waits for a device that does not exist, often because of /etc/fstab'],
  [/No space left on device/i, 'its disk is full'],
  [/Out of memory|oom-kill/i, 'it runs out of memory: set a larger type in "test-instance-types"'],
  [/amazon-ssm-agent.*(not found|could not be found|failed)/i, 'the SSM agent is missing or fails'],
  [/(ssm|ec2messages|ssmmessages)\.[\w.-]*amazonaws.*(timeout|timed out|refused|no such host)/i, 'it cannot reach the SSM endpoints'],
  [/cloud-init.*(Failed|ERROR|Traceback)/i, 'cloud-init failed'],
];

/** Whether the console shows that the image does not boot, whatever network and permissions are. */
export const isDead = (console: string): boolean => DEAD.some(([pattern]) => pattern.test(console));

/** Causes that the console shows, most telling first. */
export const consoleCauses = (console: string): readonly string[] => {
  const unit = pendingUnit(console);
  return [
    ...(unit === undefined ? [] : [`its boot hangs at ${unit}`]),
    ...SIGNS.filter(([pattern]) => pattern.test(console)).map(([, cause]) => cause),
  ].map(cause => `${cause} (from its console)`);
};

// systemd's status line for a slow job. https://github.com/systemd/systemd/blob/main/src/core/manager.c (manager_print_jobs_in_progress)
const WAITING = /A start job is running for ([\w@.:/ -]{1,80}?) \(\d[^()/\n]* \/ /g;

/** The unit that the boot still waits for at the end of the console. */
function pendingUnit(console: string): string | undefined {
  const last = [...console.matchAll(WAITING)].at(-1);
  const name = last?.[1];
  if (name === undefined) return undefined;
  const after = console.slice(last?.index);
  return after.includes(`Finished ${name}`) || after.includes(`Started ${name}`) ? undefined : name;
}

/** The last lines of a console, for people. */
export const consoleTail = (console: string, lines: number): string =>
  console.replace(/\r/g, '').trimEnd().split('\n').slice(-lines).join('\n');
