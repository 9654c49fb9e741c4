import type { PingStatus } from '@aws-sdk/client-ssm';
import { guestOf, instances, type LabInstance } from '../ec2/state.ts';
import { evaluate } from '../iam/policy.ts';
import { deployedRole, roleOfProfile } from '../iam/roles.ts';
import { type Place, slice } from '../place.ts';

/** An SSM agent that has registered: a managed node. */
export interface Agent {
  readonly instance: LabInstance;
  readonly registeredAt: Date;
  /** Lab time of its last ping, milliseconds since 1970. */
  seenAt: number;
  /** When it stopped answering. */
  silentSince: number | undefined;
}

const agents = slice(() => new Map<string, Agent>());

/**
 * Whether instances without a profile are managed too. It is off unless an account turns it on.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/managed-instances-default-host-management.html
 */
export const defaultHostManagement = slice(({ core }) => ({ enabled: core.hostManagement }));

/** Updates the state of the agents of the named instances, or of all. */
export async function observe(place: Place, ids?: readonly string[]): Promise<void> {
  const known = instances(place);
  const wanted = ids === undefined ? [...known.values()] : ids.flatMap(id => known.get(id) ?? []);
  await Promise.all(wanted.map(instance => look(place, instance)));
}

async function look(place: Place, instance: LabInstance): Promise<void> {
  const now = place.core.clock.now();
  const known = agents(place).get(instance.id);
  if (await answers(place, instance)) {
    const agent = known ?? { instance, registeredAt: new Date(now), seenAt: now, silentSince: undefined };
    Object.assign(agent, { seenAt: now, silentSince: undefined });
    agents(place).set(instance.id, agent);
  } else if (known !== undefined) {
    known.silentSince ??= now;
  }
}

/** Whether its process runs, had time to start, and may call Systems Manager. */
export async function answers(place: Place, instance: LabInstance): Promise<boolean> {
  const { clock, timings } = place.core;
  const guest = guestOf(instance);
  const mayTalk = defaultHostManagement(place).enabled || mayRegister(place, instance.profileArn);
  const isUp = clock.now() >= instance.changedAt.getTime() + timings.agent * 1000;
  return guest !== undefined && mayTalk && isUp && (await guest.agentAlive());
}

/** https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-instance-permissions.html: a profile that a template deployed needs the right to. */
function mayRegister({ core }: Place, profileArn: string | undefined): boolean {
  if (profileArn === undefined) return false;
  const role = deployedRole(core, roleOfProfile(core, profileArn));
  const question = { action: 'ssm:UpdateInstanceInformation', resource: '*', context: new Map() };
  return role === undefined || evaluate(role.policies, question) === 'allowed';
}

/** Nodes that are neither stopped nor terminated. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html */
export const managedNodes = (place: Place): readonly Agent[] =>
  [...agents(place).values()].filter(({ instance }) => instance.state !== 'stopped' && instance.state !== 'terminated');

/** The agent of a running instance that has registered. Other instances cannot receive a command. */
export const nodeFor = (place: Place, id: string): Agent | undefined => {
  const agent = agents(place).get(id);
  return agent?.instance.state === 'running' ? agent : undefined;
};

/** An agent that has just died is still online: the service notices only that it stops answering. */
export function pingOf({ core }: Place, { silentSince }: Agent): PingStatus {
  const isSilent = silentSince !== undefined && core.clock.now() - silentSince >= core.timings.agentSilence * 1000;
  return isSilent ? 'ConnectionLost' : 'Online';
}
