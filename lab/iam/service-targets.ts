import { groups } from '../autoscaling/group.ts';
import { stackNamed } from '../cloudformation/state.ts';
import { tagsOf } from '../ec2/state.ts';
import type { Place } from '../place.ts';
import { parameters } from '../ssm/parameter-state.ts';
import { ec2Found } from './ec2-targets.ts';
import type { Finder, Found } from './targets.ts';

interface GroupCall {
  readonly AutoScalingGroupName?: string;
  readonly LaunchConfigurationName?: string;
  readonly Tags?: readonly {
    readonly Key?: string | undefined;
    readonly Value?: string | undefined;
    readonly ResourceId?: string | undefined;
  }[];
}

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html */
const autoScalingFound: Finder = (operation, input, place) => {
  const { AutoScalingGroupName, LaunchConfigurationName, Tags = [] } = input as GroupCall;
  if (operation.endsWith('LaunchConfiguration')) {
    const arn = `arn:aws:autoscaling:${place.region}:${place.account}:launchConfiguration:*:launchConfigurationName/${LaunchConfigurationName}`;
    return [{ type: 'launchConfiguration', id: LaunchConfigurationName ?? '', arn, tags: {} }];
  }
  const names = AutoScalingGroupName === undefined ? Tags.flatMap(({ ResourceId }) => ResourceId ?? []) : [AutoScalingGroupName];
  return [...new Set(names)].map((name): Found => {
    const group = groups(place).get(name);
    return {
      type: 'autoScalingGroup',
      id: name,
      arn: group?.arn ?? `arn:aws:autoscaling:${place.region}:${place.account}:autoScalingGroup:*:autoScalingGroupName/${name}`,
      tags: record(group?.tags),
      requestTags: Tags.length === 0 ? undefined : record(Tags.filter(({ ResourceId }) => ResourceId === undefined || ResourceId === name)),
    };
  });
};

const record = (tags: GroupCall['Tags'] = []): Record<string, string> =>
  Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [Key, Value]));

interface SsmCall {
  readonly Name?: string;
  readonly Names?: readonly string[];
  readonly Path?: string;
  readonly Overwrite?: boolean;
  readonly Recursive?: boolean;
  readonly Tags?: GroupCall['Tags'];
  readonly ResourceId?: string;
  readonly DocumentName?: string;
  readonly InstanceIds?: readonly string[];
  readonly SettingId?: string;
}

const ssmFound: Finder = (_, input, place) => {
  const call = input as SsmCall;
  const names = [call.Name, ...(call.Names ?? []), call.Path, call.ResourceId].filter(name => name !== undefined);
  const keys = {
    'ssm:Overwrite': call.Overwrite === undefined ? undefined : String(call.Overwrite),
    'ssm:Recursive': call.Recursive === undefined ? undefined : String(call.Recursive),
  };
  return [
    ...names.map((name): Found => ({ ...parameter(place, name), requestTags: call.Tags && record(call.Tags), keys })),
    ...[call.DocumentName ?? []].flat().map((name): Found => ({ type: 'document', id: name, ...documentArn(place, name) })),
    ...(call.InstanceIds ?? []).map((id): Found => ({ type: 'instance', id, tags: tagsOf(place, id) })),
    ...[call.SettingId ?? []]
      .flat()
      .map((id): Found => ({ type: 'servicesetting', id: id.replace(/^.*servicesetting\//, '').replace(/^\//, '') })),
  ];
};

/** A name, a name with a selector, or an ARN. Public parameters belong to no account. */
function parameter(place: Place, reference: string): Found {
  const name = reference.replace(/^arn:aws:ssm:[^:]*:\d*:parameter/, '').replace(/:[^/]*$/, '');
  const bare = name.replace(/^\//, '');
  const tags = Object.fromEntries(parameters(place).get(name)?.tags ?? []);
  const account = name.startsWith('/aws/') ? '' : place.account;
  return { type: 'parameter', id: bare, arn: `arn:aws:ssm:${place.region}:${account}:parameter/${bare}`, tags };
}

/** Documents of AWS belong to no account. https://docs.aws.amazon.com/systems-manager/latest/userguide/security_iam_id-based-policy-examples.html */
const documentArn = ({ region }: Place, name: string): Pick<Found, 'arn'> | undefined =>
  /^(AWS|Amazon)-/.test(name) ? { arn: `arn:aws:ssm:${region}::document/${name}` } : undefined;

const kmsFound: Finder = (_, input, place) => {
  const { KeyId = '*' } = input as { KeyId?: string };
  return [
    {
      type: 'key',
      id: KeyId.replace(/^.*:key\//, ''),
      ...(KeyId.startsWith('arn:') ? { arn: KeyId } : {}),
      keys: { 'kms:CallerAccount': place.account },
    },
  ];
};

/** The types of a listener and of a rule are alternatives, although the reference calls each of them required. */
const balancingFound: Finder = (operation, input) => {
  const { ListenerArn, RuleArn } = input as { ListenerArn?: string; RuleArn?: string };
  const kinds = ['app', 'net', 'gwy'];
  if (operation === 'ModifyListener' && ListenerArn !== undefined)
    return kinds.map(kind => ({ type: `listener/${kind}`, id: ListenerArn, arn: ListenerArn }));
  if (operation === 'ModifyRule' && RuleArn !== undefined)
    return kinds.map(kind => ({ type: `listener-rule/${kind}`, id: RuleArn, arn: RuleArn }));
  return [];
};

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html */
const eksFound: Finder = (_, input, place) => {
  const { clusterName, name = clusterName, nodegroupName = '*' } = input as { clusterName?: string; name?: string; nodegroupName?: string };
  const arn = `arn:aws:eks:${place.region}:${place.account}:nodegroup/${name}/${nodegroupName}/*`;
  return [{ type: 'nodegroup', id: `${name}/${nodegroupName}`, arn, tags: {} }];
};

const recordsFound: Finder = (_, input) => {
  const { HostedZoneId, Id } = input as { HostedZoneId?: string; Id?: string };
  return [
    ...(HostedZoneId === undefined ? [] : [{ type: 'hostedzone', id: HostedZoneId, arn: `arn:aws:route53:::hostedzone/${HostedZoneId}` }]),
    ...(Id === undefined ? [] : [{ type: 'change', id: Id, arn: `arn:aws:route53:::change/${Id.replace(/^.*\//, '')}` }]),
  ];
};

/** IAM is global. */
const iamFound: Finder = (_, input, { account }) => {
  const { RoleName = '*', PolicySourceArn: arn = `arn:aws:iam::${account}:role/${RoleName}` } = input as {
    RoleName?: string;
    PolicySourceArn?: string;
  };
  return [{ type: 'role', id: arn.split('/').at(-1) ?? '*', arn }];
};

const stackFound: Finder = (_, input, place) => {
  const { StackName } = input as { StackName?: string };
  const stack = stackNamed(place, StackName);
  const other = `arn:aws:cloudformation:${place.region}:${place.account}:stack/${StackName}/*`;
  return StackName === undefined ? [] : [{ type: 'stack', id: StackName, arn: stack?.id ?? other }];
};

/** By service of the signature: the prefix of its IAM actions, and how to find its resources. */
export const IAM_SERVICES: Readonly<Record<string, { readonly prefix: string; readonly find: Finder }>> = {
  ec2: { prefix: 'ec2', find: ec2Found },
  autoscaling: { prefix: 'autoscaling', find: autoScalingFound },
  ssm: { prefix: 'ssm', find: ssmFound },
  kms: { prefix: 'kms', find: kmsFound },
  cloudformation: { prefix: 'cloudformation', find: stackFound },
  cloudtrail: { prefix: 'cloudtrail', find: () => [] },
  monitoring: { prefix: 'cloudwatch', find: () => [] },
  iam: { prefix: 'iam', find: iamFound },
  eks: { prefix: 'eks', find: eksFound },
  route53: { prefix: 'route53', find: recordsFound },
  elasticloadbalancing: { prefix: 'elasticloadbalancing', find: balancingFound },
};
