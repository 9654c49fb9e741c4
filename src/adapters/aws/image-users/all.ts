import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { SSMClient } from '@aws-sdk/client-ssm';
import { batches } from '../../../kit/concurrently.ts';
import { aliasesIn, type InstanceFact, numberedVersions, type UserFacts, type VersionFact } from '../../../model/image-users.ts';
import type { Clock } from '../../../ports/deps.ts';
import type { ImageUsers } from '../../../ports/images.ts';
import { always } from '../complete.ts';
import { listInstances, MOST_FILTER_VALUES } from '../ec2.ts';
import { fleetLaunchers } from './fleets.ts';
import { groupLaunchers, refreshReader } from './launchers.ts';
import { parameterFacts, pointedFacts, resolveAliases } from './parameters.ts';
import { references, startUsageReport, usage } from './reported-users.ts';
import { currentVersions, numberedVersionReader } from './template-versions.ts';

interface Clients {
  readonly ec2: EC2Client;
  readonly ssm: SSMClient;
  readonly autoScaling: AutoScalingClient;
}

/** Every page counts: prune deletes an image whose user is missed here. A source that cannot be read rejects the whole. */
export function awsImageUsers({ ec2, ssm, autoScaling }: Clients, clock: Pick<Clock, 'now'> = Date): ImageUsers {
  const numbered = numberedVersionReader(ec2);
  const refreshLaunchers = refreshReader(autoScaling, clock);
  return {
    pointed: pointers => pointedFacts(ssm, pointers),
    references: imageIds => references(ec2, imageIds),
    startUsageReport: (imageId, token) => startUsageReport(ec2, imageId, token),
    usage: reportId => usage(ec2, reportId),
    async read(scope): Promise<UserFacts> {
      const [groupsAndConfigurations, fleets, instances, parameters] = await Promise.all([
        groupLaunchers(autoScaling),
        fleetLaunchers(ec2),
        instanceFacts(ec2, scope.again),
        parameterFacts(ssm, scope),
      ]);
      const groups = groupsAndConfigurations.flatMap(({ group }) => group ?? []);
      const refreshes = await refreshLaunchers(groups);
      const launchers = [...groupsAndConfigurations, ...fleets, ...refreshes];
      // After the launchers: a template created after an earlier listing would look as if it did not exist.
      const [current, pinned] = await Promise.all([currentVersions(ec2, scope.templateDepth ?? 1), numbered(numberedVersions(launchers))]);
      // A version that is named by number may be the default or the latest as well.
      const versions = withoutRepeats([...current, ...pinned]);
      return {
        instances,
        launchers,
        versions,
        parameters,
        aliases: await resolveAliases(ssm, aliasesIn(launchers, versions)),
      };
    },
  };
}

/** Instances in every state, including those of warm pools. `imageIds`: only of these images. */
async function instanceFacts(ec2: EC2Client, imageIds: readonly string[] | undefined): Promise<InstanceFact[]> {
  const filters = imageIds === undefined ? [[]] : batches(imageIds, MOST_FILTER_VALUES).map(Values => [{ Name: 'image-id', Values }]);
  const found = (await Promise.all(filters.map(filter => listInstances(ec2, filter)))).flat();
  return found.map(({ InstanceId = '', ImageId, State, Tags }) => ({
    id: InstanceId,
    imageId: State?.Name === 'terminated' ? (ImageId ?? '') : always(ImageId, `ImageId of instance ${InstanceId}`),
    state: State?.Name ?? 'unknown',
    group: Tags?.find(({ Key }) => Key === 'aws:autoscaling:groupName')?.Value,
  }));
}

function withoutRepeats(versions: readonly VersionFact[]): VersionFact[] {
  const known = new Map<string, VersionFact>();
  for (const version of versions) {
    const name = `${version.templateId} ${version.version}`;
    if (!known.has(name)) known.set(name, version);
  }
  return [...known.values()];
}
