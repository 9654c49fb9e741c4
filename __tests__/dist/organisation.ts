import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { CreateLaunchTemplateCommand, DescribeImagesCommand, DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { connect, inService } from '../../demo/fleet.ts';
import { images } from '../../lab/ec2/images.ts';
import { tagsOf } from '../../lab/ec2/state.ts';
import { askedPermissions } from '../../lab/iam/roles.ts';
import type { Lab } from '../../lab/lab.ts';
import { twoSources } from './build-lab.ts';

/** Accounts of a company as examples/ sets them up, and what stands in them. */

export const BUILD = '111122223333';
export const PROD = '444455556666';

const example = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'examples', name), 'utf8');
const [DELIVERY, ENVIRONMENT] = [example('delivery-role.yml'), example('environment-role.yml')];

type Parameters = Readonly<Record<string, string>>;

const OF_REPOSITORY = { Subject: 'repo:acme/web', RepositoryId: '456789' };

export const deployDelivery = (lab: Lab, account: string, stack: string, parameters: Parameters): void =>
  void lab.deploy(DELIVERY, { account, stack, parameters: { ...OF_REPOSITORY, Repository: 'acme/web', ...parameters } });

export const deployEnvironment = (lab: Lab, account: string, stack: string, parameters: Parameters): void =>
  void lab.deploy(ENVIRONMENT, { account, stack, parameters: { ...OF_REPOSITORY, ...parameters } });

export interface Place {
  readonly account: string;
  readonly region: string;
}

/** A group of one instance of a plain base image. Returns the ID of its launch template. */
export async function group(lab: Lab, place: Place, name: string, architecture: 'x86_64' | 'arm64' = 'x86_64'): Promise<string> {
  const { ec2, autoScaling } = connect(lab, place);
  const { Images = [] } = await ec2.send(
    new DescribeImagesCommand({ Owners: ['amazon'], Filters: [{ Name: 'architecture', Values: [architecture] }] }),
  );
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const InstanceType = architecture === 'arm64' ? ('t4g.micro' as const) : ('t3.micro' as const);
  const data = { ImageId: Images[0]?.ImageId ?? '', InstanceType };
  const { LaunchTemplate } = await ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: name, LaunchTemplateData: data }));
  const LaunchTemplateId = LaunchTemplate?.LaunchTemplateId ?? '';
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: name,
      ...{ MinSize: 1, MaxSize: 2, DesiredCapacity: 1 },
      LaunchTemplate: { LaunchTemplateId, Version: '1' },
      VPCZoneIdentifier: Subnets.map(({ SubnetId }) => SubnetId).join(','),
    }),
  );
  while ((await inService(connect(lab, place), name)).length === 0) await lab.clock.sleep(2);
  return LaunchTemplateId;
}

/** Own images of a family in a place: version -> ID, unfinished ones as `unfinished`. */
export const imagesIn = (lab: Lab, { account, region }: Place): readonly { readonly id: string; readonly version: string }[] => {
  const place = lab.place(account, region);
  return [...images(place).values()]
    .filter(({ state, place: of }) => state !== 'deregistered' && of.account === account)
    .map(({ id }) => ({ id, tags: tagsOf(place, id) }))
    .filter(({ tags }) => tags['ManagedBy'] === 'ami-action')
    .map(({ id, tags }) => ({ id, version: tags['ami-action:family'] === undefined ? 'unfinished' : (tags['ami-action:version'] ?? '') }));
};

/** What deployed roles were denied; a token that a role does not trust is not a role yet. */
export const deniedIn = (lab: Lab): readonly string[] =>
  askedPermissions(lab.core)
    .filter(({ allowed, action }) => !allowed && !action.startsWith('sts:'))
    .map(({ role, action, resource }) => `${role.replace(/^.*\//, '')} ${action} ${resource}`);

/** The example template with a second source for arm64. */
export function bothArchitectures(): Record<string, string> {
  const files = twoSources();
  files['packer/second.pkr.hcl'] = (files['packer/second.pkr.hcl'] ?? '')
    .replaceAll('amd64', 'arm64')
    .replace('"x86_64"', '"arm64"')
    .replace('= var.instance_type', '= "t4g.small"');
  return files;
}
