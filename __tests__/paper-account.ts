import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { EC2Client } from '@aws-sdk/client-ec2';
import type { SSMClient } from '@aws-sdk/client-ssm';

/**
 * What an account holds, as plain data, and the SDK clients that tell it: page by page, as small as the caller says.
 * Thousands of these are made in a second; the lab is for whole processes.
 */
export interface PaperAccount {
  readonly instances: readonly { readonly id: string; readonly state: string; readonly image: string }[];
  readonly templates: readonly PaperTemplate[];
  readonly groups: readonly PaperGroup[];
  readonly configurations: readonly { readonly name: string; readonly image: string; readonly volume?: string | undefined }[];
  readonly parameters: readonly PaperParameter[];
}

export interface PaperTemplate {
  readonly id: string;
  readonly name: string;
  readonly defaultVersion: number;
  /** `volume`: a snapshot that it makes a further volume from. */
  readonly versions: readonly { readonly number: number; readonly image: string; readonly volume?: string | undefined }[];
}

export interface PaperUse {
  readonly template: string;
  readonly byName: boolean;
  readonly version: string | undefined;
}

export interface PaperGroup {
  readonly name: string;
  readonly uses: PaperUse | undefined;
  readonly mixed: PaperPolicy | undefined;
  readonly refresh: { readonly status: string; readonly uses: PaperUse | undefined; readonly mixed: PaperPolicy | undefined } | undefined;
}

export interface PaperPolicy {
  readonly uses: PaperUse;
  readonly overrides: readonly { readonly uses: PaperUse | undefined; readonly image: string | undefined }[];
}

export interface PaperParameter {
  readonly name: string;
  readonly type: 'String' | 'StringList' | 'SecureString';
  /** Oldest first; version numbers from 1. */
  readonly versions: readonly { readonly value: string; readonly description: string; readonly labels: readonly string[] }[];
}

type Answer = (input: Record<string, unknown>) => object;

const client = <C>(answers: Record<string, Answer>): C =>
  ({
    send: async (command: { constructor: { name: string }; input: Record<string, unknown> }) => {
      const name = command.constructor.name.replace(/Command$/, '');
      const answer = answers[name];
      if (answer === undefined) throw new Error(`the paper account does not know ${name}`);
      return answer(command.input);
    },
  }) as C;

/** A page of a list, and the token of the next. */
function paged<T>(all: readonly T[], input: Record<string, unknown>, most: number): { items: readonly T[]; next: string | undefined } {
  const from = Number(input['NextToken'] ?? 0);
  const next = from + most;
  return { items: all.slice(from, next), next: next < all.length ? String(next) : undefined };
}

const refuse = (name: string): never => {
  throw Object.assign(new Error(name), { name, $metadata: { httpStatusCode: 400 } });
};

const useOf = (use: PaperUse | undefined, account: PaperAccount) => {
  if (use === undefined) return undefined;
  const template = account.templates.find(({ id }) => id === use.template);
  const named = use.byName && template !== undefined ? { LaunchTemplateName: template.name } : { LaunchTemplateId: use.template };
  return { ...named, Version: use.version };
};

const policyOf = (policy: PaperPolicy | undefined, account: PaperAccount) =>
  policy && {
    LaunchTemplate: {
      LaunchTemplateSpecification: useOf(policy.uses, account),
      Overrides: policy.overrides.map(({ uses, image }) => ({ LaunchTemplateSpecification: useOf(uses, account), ImageId: image })),
    },
  };

export function paperClients(account: PaperAccount, pageSize: number) {
  return {
    ec2: client<EC2Client>({
      DescribeInstances: input => {
        const { items, next } = paged(account.instances, input, pageSize);
        const Instances = items.map(({ id, state, image }) => ({ InstanceId: id, ImageId: image, State: { Name: state } }));
        return { Reservations: [{ Instances }], NextToken: next };
      },
      DescribeFleets: () => ({ Fleets: [] }),
      DescribeSpotFleetRequests: () => ({ SpotFleetRequestConfigs: [] }),
      DescribeSpotInstanceRequests: () => ({ SpotInstanceRequests: [] }),
      DescribeLaunchTemplateVersions: input => templateVersions(account, input, pageSize),
    }),
    autoScaling: client<AutoScalingClient>({
      DescribeAutoScalingGroups: input => {
        const { items, next } = paged(account.groups, input, pageSize);
        const groups = items.map(({ name, uses, mixed }) => ({
          AutoScalingGroupName: name,
          LaunchTemplate: useOf(uses, account),
          MixedInstancesPolicy: policyOf(mixed, account),
        }));
        return { AutoScalingGroups: groups, NextToken: next };
      },
      DescribeLaunchConfigurations: input => {
        const { items, next } = paged(account.configurations, input, pageSize);
        return {
          LaunchConfigurations: items.map(({ name, image, volume }) => ({
            ...{ LaunchConfigurationName: name, ImageId: image, BlockDeviceMappings: mappings(volume) },
          })),
          NextToken: next,
        };
      },
      DescribeInstanceRefreshes: input => {
        const { name, refresh } = account.groups.find(group => group.name === input['AutoScalingGroupName']) ?? {};
        const desired = { LaunchTemplate: useOf(refresh?.uses, account), MixedInstancesPolicy: policyOf(refresh?.mixed, account) };
        const one = { InstanceRefreshId: 'r-1', AutoScalingGroupName: name, Status: refresh?.status, DesiredConfiguration: desired };
        return { InstanceRefreshes: refresh === undefined ? [] : [one] };
      },
    }),
    ssm: client<SSMClient>({
      DescribeParameters: input => {
        const { items, next } = paged(account.parameters, input, pageSize);
        return { Parameters: items.map(({ name, type }) => ({ Name: name, Type: type })), NextToken: next };
      },
      GetParameters: input => {
        const asked = (input['Names'] as string[]).map(name => [name, parameterMeant(account, name)] as const);
        return {
          Parameters: asked.flatMap(([, found]) => found),
          InvalidParameters: asked.flatMap(([name, found]) => (found.length === 0 ? [name] : [])),
        };
      },
      GetParameterHistory: input => {
        const versions = account.parameters.find(({ name }) => name === input['Name'])?.versions ?? refuse('ParameterNotFound');
        const { items, next } = paged(versions, input, pageSize);
        const from = Number(input['NextToken'] ?? 0);
        return {
          Parameters: items.map((version, n) => ({ Version: from + n + 1, Value: version.value, Description: version.description })),
          NextToken: next,
        };
      },
    }),
  };
}

function templateVersions({ templates }: PaperAccount, input: Record<string, unknown>, pageSize: number): object {
  const wanted = input['Versions'] as string[] | undefined;
  const tell = (template: PaperTemplate, version: PaperTemplate['versions'][number]) => ({
    LaunchTemplateId: template.id,
    LaunchTemplateName: template.name,
    VersionNumber: version.number,
    DefaultVersion: version.number === template.defaultVersion,
    LaunchTemplateData: { ImageId: version.image === '' ? undefined : version.image, BlockDeviceMappings: mappings(version.volume) },
  });
  if (input['LaunchTemplateId'] === undefined && input['LaunchTemplateName'] === undefined) {
    const both = templates.flatMap(template => {
      const newest = template.versions.at(-1);
      return template.versions
        .filter(version => version === newest || version.number === template.defaultVersion)
        .map(version => tell(template, version));
    });
    const { items, next } = paged(both, input, pageSize);
    return { LaunchTemplateVersions: items, NextToken: next };
  }
  const template =
    templates.find(({ id, name }) => id === input['LaunchTemplateId'] || name === input['LaunchTemplateName']) ??
    refuse('InvalidLaunchTemplateId.NotFound');
  const found =
    wanted === undefined
      ? template.versions.filter(version => isWithin(version, input))
      : wanted.map(
          said => template.versions.find(({ number }) => String(number) === said) ?? refuse('InvalidLaunchTemplateId.VersionNotFound'),
        );
  const { items, next } = paged(found, input, pageSize);
  return { LaunchTemplateVersions: items.map(version => tell(template, version)), NextToken: next };
}

/** Of no version by name: between two, and of certain images. */
function isWithin({ number, image }: PaperTemplate['versions'][number], input: Record<string, unknown>): boolean {
  const {
    MinVersion: least = 1,
    MaxVersion: most = Number.POSITIVE_INFINITY,
    Filters: [filter] = [],
  } = input as {
    MinVersion?: string;
    MaxVersion?: string;
    Filters?: { Values: string[] }[];
  };
  return number >= Number(least) && number <= Number(most) && (filter?.Values.includes(image) ?? true);
}

const mappings = (volume: string | undefined) => (volume === undefined ? [] : [{ DeviceName: '/dev/sdb', Ebs: { SnapshotId: volume } }]);

/** `name`, `name:3`, `name:label`; and the same as an ARN. */
function parameterMeant({ parameters }: PaperAccount, said: string) {
  const [name = '', which] = said.replace(/^arn:aws:ssm:[^:]*:[^:]*:parameter/, '').split(':');
  const parameter = parameters.find(known => known.name === name);
  if (parameter === undefined) return [];
  const version =
    which === undefined
      ? parameter.versions.at(-1)
      : parameter.versions.find(({ labels }, n) => String(n + 1) === which || labels.includes(which));
  return version === undefined ? [] : [{ Name: said, Value: version.value, Type: parameter.type }];
}
