import type { ResourceChange } from '../../model/stack.ts';

/** What a change set would do. */

const FLEET = ['AWS::AutoScaling::AutoScalingGroup', 'AWS::AutoScaling::LaunchConfiguration', 'AWS::EC2::LaunchTemplate'];

/** Why a change set must not be executed, and what else it changes. */
export function judgeChanges(changes: readonly ResourceChange[], parameter: string) {
  const changesGroup = changes.some(({ type, action }) => type === FLEET[0] && action === 'Modify');
  const others = changes.filter(({ type }) => !FLEET.includes(type));
  return {
    refusals: changesGroup
      ? []
      : [
          `parameter ${parameter} changes no Auto Scaling group: its launch template version must follow the template (Version: !GetAtt Template.LatestVersionNumber)`,
        ],
    /** What an update without a plan must not do. */
    harmful: others.filter(({ action, replacement }) => action === 'Remove' || replacement === 'True' || replacement === 'Conditional'),
    warnings: others.map(change => `the update also changes ${formatChange(change)}`),
  };
}

export const formatChange = ({ resource, type, action, replacement }: ResourceChange): string =>
  `${resource} (${type})${replacement === 'True' ? ', which is replaced' : replacement === 'Conditional' ? ', which may be replaced' : action === 'Modify' ? '' : `: ${action}`}`;

export const sameChanges = (a: readonly ResourceChange[], b: readonly ResourceChange[]): boolean =>
  a.map(formatChange).sort().join() === b.map(formatChange).sort().join();
