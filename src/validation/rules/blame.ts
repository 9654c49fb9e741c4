import { formatDuration } from '../../kit/format.ts';
import { type Image, identity, newestFirst, type TagScheme } from '../../model/image.ts';
import { mayPass } from '../../model/verdict.ts';
import { consoleCauses, isDead } from './console.ts';
import type { HealthStatus, InstanceStatus } from './instance-states.ts';

/** Whose fault it is that a machine went no further. Only what is certainly the image's makes it fail; the rest is no verdict. */

export interface Symptoms {
  readonly instance: InstanceStatus | undefined;
  readonly health: HealthStatus | undefined;
  readonly console: string;
  /** When its agent was waited for in vain. */
  readonly silent: 'at boot' | 'during the checks' | 'after the reboot' | undefined;
}

/** `open`: it runs, and nothing that can be seen from outside tells image from account. */
export function faultOf({ instance, health, console, silent }: Symptoms): 'image' | 'elsewhere' | 'open' {
  if (/Client\.(InstanceInitiatedShutdown|InvalidSnapshot\.NotFound)/.test(instance?.stateReason ?? '')) return 'image';
  if (health?.system === 'impaired') return 'elsewhere';
  if (health?.instance === 'impaired') return 'image';
  if (silent === undefined || instance?.state !== 'running') return 'elsewhere';
  return isDead(console) ? 'image' : 'open';
}

/** A second machine in the same place, with the same profile and user data, of an image that is known to work; and how far it got. */
export interface Control {
  readonly imageId: string;
  readonly instanceType: string;
  /** From launch to agent; undefined: it got no agent either. */
  readonly seconds: number | undefined;
  readonly reason: string;
}

/** The newest one that passed; undefined where there is none. */
export const controlImage = (image: Image, family: readonly Image[], scheme: TagScheme): Image | undefined =>
  family
    .filter(({ id, state, architecture }) => id !== image.id && state === 'available' && architecture === image.architecture)
    .filter(other => mayPass(other, scheme).ok)
    .sort(newestFirst)[0];

/** Stands in for the one that passed, where a family has none yet: what the image was built from. */
export const baseOf = (image: Image, scheme: TagScheme): string | undefined => identity(image, scheme, 'base-ami');

export interface Launched {
  readonly instanceProfile: string | undefined;
  readonly subnetId: string | undefined;
}

/** What the second machine proves, and what is left as the cause, most telling first. */
export function explainSilence(
  { console, silent }: Symptoms,
  launched: Launched,
  control: Control | undefined,
): { readonly result: 'failed' | 'inconclusive'; readonly reason: string } {
  const [ofImage, ofAccount] = [imageCause(silent), accountCauses(launched, silent)];
  if (control === undefined) {
    const open = 'Whether it is the image or the account cannot be told: no other image of the family has passed yet, to compare it with.';
    return { result: 'inconclusive', reason: `${open} ${formatCauses([...consoleCauses(console), ...ofAccount, ofImage])}` };
  }
  if (control.seconds !== undefined) {
    const proof = `It is the image: on a second machine (${control.instanceType}), in the same subnet and with the same profile, the agent of ${control.imageId} was online ${formatDuration(control.seconds)} after launch.`;
    return { result: 'failed', reason: `${proof} ${formatCauses([...consoleCauses(console), ofImage])}` };
  }
  const same = `It may not be the image: on a second machine ${control.imageId} did not get there either (${control.reason}).`;
  return { result: 'inconclusive', reason: `${same} ${formatCauses([...consoleCauses(console), ...ofAccount])}` };
}

export const formatCauses = (causes: readonly string[]): string =>
  causes.length === 0 ? '' : `Likely causes: ${causes.map((cause, index) => `(${index + 1}) ${cause}`).join('; ')}.`;

const imageCause = (silent: Symptoms['silent']): string => {
  if (silent === 'after the reboot') return 'the image does not come up a second time, or its agent does not';
  if (silent === 'during the checks')
    return 'the SSM agent, or the network of the machine, died while the checks ran, or a check made it hang';
  return 'the image has no SSM agent, or it is not enabled';
};

function accountCauses({ instanceProfile, subnetId }: Launched, silent: Symptoms['silent']): readonly string[] {
  // The agent was online once: it may talk, and it found the way.
  if (silent !== 'at boot') return ['Systems Manager, or the way to it, failed meanwhile'];
  const profile =
    instanceProfile === undefined
      ? 'no instance-profile is set and Default Host Management is not on in this region: the agent may not talk to Systems Manager'
      : `the instance profile ${instanceProfile} lacks AmazonSSMManagedInstanceCore`;
  return [
    profile,
    `${subnetId ?? 'the default subnet'} has no route to the SSM endpoints (ssm, ssmmessages, ec2messages): NAT, public address or VPC endpoints, and security groups that let 443 out`,
  ];
}
