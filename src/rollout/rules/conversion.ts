import type { Group } from '../../model/group.ts';
import type { LaunchConfiguration } from '../../model/launch-configuration.ts';
import { CONVERTED_FROM, templateName } from './configuration.ts';
import type { ConfigurationFacts, PlanOptions } from './facts.ts';

/** A launch configuration as a launch template, field by field. */

type Data = Readonly<Record<string, unknown>>;

const as = (name: string) => (value: unknown) => ({ [name]: value });

const isId = (group: string): boolean => group.startsWith('sg-');

interface Volume {
  readonly NoDevice?: boolean;
  readonly Ebs?: Data;
}

/** Auto Scaling deletes volumes with the instance, a launch template does not. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Ebs.html */
const toVolume = ({ NoDevice, Ebs, ...volume }: Volume): Data => ({
  ...volume,
  ...(NoDevice === true ? { NoDevice: '' } : {}),
  ...(Ebs === undefined ? {} : { Ebs: { DeleteOnTermination: true, ...Ebs } }),
});

/** A public address belongs to a network interface, which then has the security groups too. */
const toInterface = (associate: boolean, { SecurityGroups }: Data): Data => ({
  NetworkInterfaces: [
    {
      DeviceIndex: 0,
      AssociatePublicIpAddress: associate,
      DeleteOnTermination: true,
      ...(SecurityGroups === undefined ? {} : { Groups: SecurityGroups }),
    },
  ],
});

function toSecurityGroups(groups: readonly string[], { AssociatePublicIpAddress }: Data): Data {
  if (AssociatePublicIpAddress !== undefined) return {};
  const [ids, names] = [groups.filter(isId), groups.filter(group => !isId(group))];
  return { ...(ids.length === 0 ? {} : { SecurityGroupIds: ids }), ...(names.length === 0 ? {} : { SecurityGroups: names }) };
}

/**
 * Every field of a launch configuration that a launch template has too.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestLaunchTemplateData.html
 */
const FIELDS: Readonly<Record<string, (value: never, all: Data) => Data>> = {
  InstanceType: as('InstanceType'),
  KeyName: as('KeyName'),
  UserData: as('UserData'),
  EbsOptimized: as('EbsOptimized'),
  KernelId: as('KernelId'),
  RamdiskId: as('RamDiskId'),
  MetadataOptions: as('MetadataOptions'),
  InstanceMonitoring: as('Monitoring'),
  IamInstanceProfile: (profile: string) => ({ IamInstanceProfile: { [profile.startsWith('arn:') ? 'Arn' : 'Name']: profile } }),
  SpotPrice: (price: string) => ({
    InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { MaxPrice: price, SpotInstanceType: 'one-time' } },
  }),
  PlacementTenancy: (tenancy: string) => ({ Placement: { Tenancy: tenancy } }),
  BlockDeviceMappings: (volumes: readonly Volume[]) => ({ BlockDeviceMappings: volumes.map(toVolume) }),
  SecurityGroups: toSecurityGroups,
  AssociatePublicIpAddress: toInterface,
};

/** What the launch template gets, without the image. */
export const templateData = ({ settings }: LaunchConfiguration): Data =>
  Object.assign({}, ...Object.entries(settings).map(([field, value]) => FIELDS[field]?.(value as never, settings)));

/** What of the launch configuration no launch template can express. `imageSnapshots`: of the image that it names. */
function conversionRefusals({ name, settings, snapshotIds }: LaunchConfiguration, imageSnapshots: ReadonlySet<string>): string[] {
  const unknown = Object.keys(settings).filter(field => FIELDS[field] === undefined);
  const names = ((settings['SecurityGroups'] ?? []) as readonly string[]).filter(group => !isId(group));
  return [
    unknown.length > 0 && `launch configuration "${name}" has ${unknown.join(', ')}, which a launch template cannot express`,
    settings['AssociatePublicIpAddress'] !== undefined &&
      names.length > 0 &&
      `launch configuration "${name}" names security groups (${names.join(', ')}), and with a public IP address a launch template takes IDs only`,
    ...snapshotIds
      .filter(id => !imageSnapshots.has(id))
      .map(id => `launch configuration "${name}" creates a volume from ${id}, which AWS does not copy to a new template version`),
  ]
    .filter(refusal => refusal !== false)
    .map(refusal => `${refusal}: create a launch configuration without it, or set "launch-configurations: keep"`);
}

const leaves = (value: unknown, path: string): readonly (readonly [path: string, value: unknown])[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`))
    : [[path, value]];

/** AWS adds the state of the metadata options, and the snapshots are compared elsewhere. */
const isCompared = (path: string): boolean => path !== 'MetadataOptions.State' && !path.endsWith('.SnapshotId');

/** The fields in which a template version differs from the data; each by its path. */
export function differences(data: Data, version: Data): readonly string[] {
  const [wanted, found] = [data, version].map(each => new Map(leaves(each, '').filter(([, value]) => value !== undefined)));
  const paths = new Set([...(wanted?.keys() ?? []), ...(found?.keys() ?? [])]);
  return [...paths].filter(path => isCompared(path) && wanted?.get(path) !== found?.get(path));
}

/** `InstanceType=t3.micro, UserData (120 characters)`: user data may hold secrets. */
export const formatData = (data: Data): string =>
  leaves(data, '')
    .map(([path, value]) => (path === 'UserData' ? `UserData (${String(value).length} characters)` : `${path}=${value}`))
    .join(', ');

/** Why a group on a launch configuration is not rolled out. The refusal without a setting shows what each setting would do. */
export function configurationRefusals(
  { launch }: Group,
  configuration: ConfigurationFacts | undefined,
  imageSnapshots: ReadonlySet<string>,
  { launchConfigurations, strategy }: Pick<PlanOptions, 'launchConfigurations' | 'strategy'>,
): string[] {
  if (launch.kind !== 'configuration') return [];
  if (configuration === undefined) return [`launch configuration "${launch.name}" does not exist, so the group can launch nothing`];
  const { now, template, taken, copyName } = configuration;
  const impossible = conversionRefusals(now, imageSnapshots);
  if (launchConfigurations === 'refuse' || launchConfigurations === undefined) {
    const convert = impossible[0] ?? `${templateName(now.name)} with ${formatData(templateData(now))}`;
    return [
      `it launches from launch configuration "${now.name}", whose image cannot change. Create a launch template from it with ` +
        `"launch-configurations: convert" (${convert}), or set "launch-configurations: keep" (creates ${copyName})`,
    ];
  }
  if (strategy !== 'rolling')
    return [
      `it launches from launch configuration "${now.name}", and "strategy: ${strategy}" needs a launch template: promote once with "strategy: rolling" and "launch-configurations: convert"`,
    ];
  if (launchConfigurations === 'keep')
    return taken === true ? [`launch configuration ${copyName} exists, and is not the copy that ami-action makes: delete it`] : [];
  return [...impossible, ...templateProblems(now, template)];
}

function templateProblems(now: LaunchConfiguration, template: ConfigurationFacts['template']): string[] {
  if (template === undefined) return [];
  const named = `launch template ${templateName(now.name)} exists`;
  if (template.tags[CONVERTED_FROM] !== now.name)
    return [`${named}, and was not made by ami-action (tag ${CONVERTED_FROM}): set the group to a numbered version of it, or rename it`];
  if (template.first === undefined) return [`${named} without its version 1: delete the template if nothing launches from it`];
  const differing = differences({ ...templateData(now), ImageId: now.imageId }, contentOf(template.first));
  return differing.length === 0
    ? []
    : [`${named}, and its version 1 differs from launch configuration "${now.name}" in ${differing.join(', ')}: delete the template`];
}

/** The fields of a version, with its image. */
export const contentOf = ({ content, imageId }: { readonly content: string; readonly imageId: string }): Data => ({
  ...JSON.parse(content),
  ImageId: imageId,
});
