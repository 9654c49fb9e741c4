import type { TargetHealth } from '@aws-sdk/client-elastic-load-balancing-v2';
import { guestOf, instances } from '../ec2/state.ts';
import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { balancersOf, type LabTargetGroup, receiver, sickImages, type Target } from './target-state.ts';

// States and reasons: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
// Rules of health: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html

const REGISTERING: TargetHealth = {
  State: 'initial',
  Reason: 'Elb.RegistrationInProgress',
  Description: 'Target registration is in progress',
};
const CHECKING: TargetHealth = { State: 'initial', Reason: 'Elb.InitialHealthChecking', Description: 'Initial health checks in progress' };
const DRAINING: TargetHealth = {
  State: 'draining',
  Reason: 'Target.DeregistrationInProgress',
  Description: 'Target deregistration is in progress',
};
export const NOT_REGISTERED: TargetHealth = {
  State: 'unused',
  Reason: 'Target.NotRegistered',
  Description: 'Target is not registered to the target group',
};
const NOT_IN_USE: TargetHealth = {
  State: 'unused',
  Reason: 'Target.NotInUse',
  Description: 'Target group is not configured to receive traffic from the load balancer',
};

export const key = (id: string, port: number): string => `${id}:${port}`;

/** Registers a target. A target that was deregistered starts again as `initial`. */
export function register(group: LabTargetGroup, id: string, port: number = group.settings.Port ?? 80): void {
  if (!instances(group.place).has(id)) throw new AwsError('InvalidTarget', `The following targets are not in a valid state: '${id}'`);
  const known = group.targets.get(key(id, port));
  if (known !== undefined && known.health.State !== 'draining') return;
  known?.stop();
  const target: Target = { id, port, health: REGISTERING, streak: 0, passing: true, stop: () => undefined };
  group.targets.set(key(id, port), target);
  checkLater(group, target);
}

/** The target is `draining` until the delay is over, even without connections. Unused targets are removed at once. */
export function deregister(group: LabTargetGroup, id: string): void {
  const seconds = Number(group.attributes.get('deregistration_delay.timeout_seconds'));
  for (const target of [...group.targets.values()].filter(target => target.id === id && target.health.State !== 'draining')) {
    const unused = balancersOf(group.place, group.arn).length === 0;
    target.stop();
    target.health = DRAINING;
    const gone = () => void group.targets.delete(key(id, target.port));
    if (unused || seconds === 0) gone();
    else target.stop = group.place.core.clock.after(seconds, gone);
  }
}

/** Health of an instance in one source. Undefined when it is not registered. */
export function healthIn(place: Place, source: string, id: string): TargetHealth | undefined {
  const group = receiver(place, source);
  const target = [...(group?.targets.values() ?? [])].find(target => target.id === id);
  return group === undefined || target === undefined ? undefined : shown(group, target);
}

export function shown(group: LabTargetGroup, target: Target): TargetHealth {
  if (target.health.State === 'draining') return target.health;
  if (balancersOf(group.place, group.arn).length === 0) return NOT_IN_USE;
  const state = instances(group.place).get(target.id)?.state;
  if (state === 'running' || state === 'pending') return target.health;
  return { State: 'unused', Reason: 'Target.InvalidState', Description: `Target is in the ${state ?? 'terminated'} state` };
}

/** Checks run every `targetHealth`. The interval of the settings is not used. */
function checkLater(group: LabTargetGroup, target: Target): void {
  const { clock, timings } = group.place.core;
  target.stop = clock.after(timings.targetHealth, () => {
    void probe(group, target).then(failure => {
      if (target.health.State === 'draining' || group.targets.get(key(target.id, target.port)) !== target) return;
      evaluate(group, target, failure);
      checkLater(group, target);
    });
  });
}

/** Why a check failed; undefined when it passed. */
type CheckFailure = TargetHealth | undefined;

async function probe(group: LabTargetGroup, { id, port }: Target): Promise<CheckFailure> {
  const { HealthCheckPort, HealthCheckPath = '/', HealthCheckProtocol, Matcher } = group.settings;
  const instance = instances(group.place).get(id);
  const guest = instance && guestOf(instance);
  const sick = sickImages(group.place);
  if (guest === undefined || instance === undefined) return failed('Target.Timeout', 'Request timed out');
  if (sick.has('*') || sick.has(instance.imageId)) return failed('Target.FailedHealthChecks', 'Health checks failed');
  const code = await guest
    .http(HealthCheckPort === 'traffic-port' ? port : Number(HealthCheckPort), HealthCheckPath)
    .catch(() => undefined);
  if (code === undefined) return failed('Target.FailedHealthChecks', 'Health checks failed');
  // A TCP check only needs an open port.
  if (!HealthCheckProtocol?.startsWith('HTTP') || accepted(Matcher?.HttpCode ?? '200', code)) return undefined;
  return failed('Target.ResponseCodeMismatch', `Health checks failed with these codes: [${code}]`);
}

const failed = (Reason: NonNullable<TargetHealth['Reason']>, Description: string): TargetHealth => ({
  State: 'unhealthy',
  Reason,
  Description,
});

/** "200", "200,202" or "200-299". */
const accepted = (matcher: string, code: number): boolean =>
  matcher.split(',').some(part => {
    const [least = part, most = least] = part.trim().split('-');
    return code >= Number(least) && code <= Number(most);
  });

/** A new target is healthy after its first good check; after that the thresholds count. */
function evaluate({ settings }: LabTargetGroup, target: Target, trouble: CheckFailure): void {
  target.streak = target.passing === (trouble === undefined) ? target.streak + 1 : 1;
  target.passing = trouble === undefined;
  const isNew = target.health.State === 'initial';
  if (target.passing && (isNew || target.streak >= (settings.HealthyThresholdCount ?? 5))) target.health = { State: 'healthy' };
  else if (trouble !== undefined && target.streak >= (settings.UnhealthyThresholdCount ?? 2)) target.health = trouble;
  else if (isNew) target.health = CHECKING;
}

export const registered = (place: Place, source: string, id: string): boolean => healthIn(place, source, id) !== undefined;

export function registerIn(place: Place, source: string, id: string): void {
  const group = receiver(place, source);
  if (group !== undefined) register(group, id);
}

export function deregisterFrom(place: Place, source: string, id: string): void {
  const group = receiver(place, source);
  if (group !== undefined) deregister(group, id);
}
