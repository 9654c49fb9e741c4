import { createHash } from 'node:crypto';
import { type Group, type Launch, sameLaunch } from '../../model/group.ts';
import type { LaunchConfiguration } from '../../model/launch-configuration.ts';
import type { ConfigurationFacts } from './facts.ts';

/** The names and tags that show which launch configurations and templates ami-action made. */

/** Tag of a launch template: the launch configuration that ami-action made it from. */
export const CONVERTED_FROM = 'ami-action:launch-configuration';

/** The template has the name of the launch configuration, in the letters that EC2 allows. */
export const templateName = (configuration: string): string =>
  configuration
    .replace(/[^\w().\-/]/g, '-')
    .slice(0, 128)
    .padEnd(3, '-');

/** Tag of a group: the exact name of a launch configuration that ami-action made for it. Launch configurations have no tags. */
export const madeTag = (imageId: string): string => `${MADE}${imageId}`;
const MADE = 'ami-action:made-launch-configuration:';

/** Tag of a group: what it launched before the rollout of an image that has not ended. */
export const beforeTag = (imageId: string): string => `${BEFORE}${imageId}`;
const BEFORE = 'ami-action:launch-configuration-before:';

const tagsWith = ({ tags }: Pick<Group, 'tags'>, prefix: string) => Object.entries(tags).filter(([key]) => key.startsWith(prefix));

/** Those that ami-action made for this group: tag and exact name. */
export const madeFor = (group: Pick<Group, 'tags'>) => tagsWith(group, MADE);

/** Tags of a rollout that has not ended. */
export const unfinishedTags = (group: Pick<Group, 'tags'>): readonly string[] => tagsWith(group, BEFORE).map(([key]) => key);

const OURS = /-ami-action-[0-9a-f]{8}-ami-[0-9a-f]+$/;

/** The one that a person made, by the name of a copy. */
export const originalName = (name: string): string => name.replace(OURS, '');

/** A launch configuration never changes, so its name, the group and the image determine the copy. */
export const copyName = (group: string, name: string, imageId: string): string =>
  `${originalName(name).slice(0, 180)}-ami-action-${createHash('sha256').update(group).digest('hex').slice(0, 8)}-${imageId}`;

/** Differs in the image only. A copy has no snapshots of the old image; any other must have the same snapshots. */
export const isCopy = (other: LaunchConfiguration, of: LaunchConfiguration, imageId: string): boolean =>
  other.imageId === imageId &&
  other.content === of.content &&
  (OURS.test(other.name) ? other.snapshotIds.every(id => of.snapshotIds.includes(id)) : other.snapshotIds.join() === of.snapshotIds.join());

/** What the group launches after the rollout with `keep`; undefined until the copy exists. */
export const launchKept = ({ ready }: ConfigurationFacts): Launch | undefined => ready && { kind: 'configuration', name: ready.name };

/** Undefined where the launch configuration is left for a template. */
export const launchBefore = ({ now, before }: ConfigurationFacts): Launch => ({ kind: 'configuration', name: before ?? now.name });

/** The group is in a rollout of ours that set it to this launch configuration. */
export const isUnfinished = (group: Group): boolean => group.launch.kind === 'configuration' && unfinishedTags(group).length > 0;

/** The group launches again what it launched before. */
export const launchesAgain = (group: Group | undefined, before: Launch): boolean => sameLaunch(group?.launch, before);
