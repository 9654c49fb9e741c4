import { GetCallerIdentityCommand, type STSClient } from '@aws-sdk/client-sts';
import type { Account, RegionClients, Where } from '../../ports/deps.ts';
import { cloudWatchAlarms } from './alarms.ts';
import { awsClients, type Clients } from './clients.ts';
import { ssmCommands } from './commands.ts';
import { asExpected, unreadableAnswer } from './errors.ts';
import { autoScalingGroups } from './groups.ts';
import { awsImageUsers } from './image-users/all.ts';
import { ec2Capture, ec2Images } from './images.ts';
import { ec2Instances } from './instances.ts';
import { launchConfigurations } from './launch-configurations.ts';
import { ec2LaunchTemplates } from './launch-templates.ts';
import { ec2Leftovers } from './leftovers.ts';
import { kmsMacs } from './macs.ts';
import { eksNodeGroups } from './node-groups.ts';
import { ssmParameters } from './parameters.ts';
import { iamPermissions } from './permissions.ts';
import { ec2Removal } from './removal.ts';
import { servedCredentials } from './serve-credentials.ts';
import type { Access } from './session.ts';
import { awsSharing } from './sharing.ts';
import { cloudFormationStacks } from './stacks.ts';
import { awsWeights } from './weights.ts';

/** The ports of an account and region; the same ones each time. */
export function regionClients(access: Access): (where: Where) => RegionClients {
  const connect = new Map<string, RegionClients>();
  return where => {
    const key = `${where.region} ${where.role ?? ''}`;
    const known = connect.get(key);
    if (known !== undefined) return known;
    const made = aws(awsClients(where, access), access);
    connect.set(key, made);
    return made;
  };
}

const aws = (
  {
    ec2,
    ssm,
    sts,
    autoScaling,
    kms,
    cloudWatch,
    balancing,
    classic,
    iam,
    cloudFormation,
    cloudTrail,
    eks,
    route53,
    provider,
    caller,
  }: Clients,
  access: Access,
): RegionClients => ({
  account: stsAccount(sts, { provider, caller }, access),
  images: ec2Images(ec2),
  instances: ec2Instances(ec2),
  commands: ssmCommands(ssm),
  parameters: ssmParameters(ssm),
  groups: autoScalingGroups(autoScaling, ec2, { balancing, classic }),
  launchTemplates: ec2LaunchTemplates(ec2),
  launchConfigurations: launchConfigurations(autoScaling, ec2),
  nodeGroups: eksNodeGroups(eks),
  alarms: cloudWatchAlarms(cloudWatch),
  weights: awsWeights({ balancing, classic, route53 }),
  imageUsers: awsImageUsers({ ec2, ssm, autoScaling }, access.clock),
  removal: ec2Removal(ec2),
  leftovers: ec2Leftovers(ec2, cloudTrail),
  capture: ec2Capture(ec2),
  sharing: awsSharing(ec2, kms),
  macs: kmsMacs(kms),
  permissions: iamPermissions(iam),
  stacks: cloudFormationStacks(cloudFormation),
});

/** Needs no permission: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
function stsAccount(sts: STSClient, { provider, caller }: Pick<Clients, 'provider' | 'caller'>, access: Access): Account {
  let known: Promise<string> | undefined;
  let served: Promise<Readonly<Record<string, string>>> | undefined;
  const getId = async () => {
    const doing = 'read the caller identity (sts:GetCallerIdentity)';
    const { Account: id } = await sts.send(new GetCallerIdentityCommand({})).catch(asExpected(doing));
    if (id === undefined) throw unreadableAnswer(doing, 'it has no account');
    caller.account = id;
    return id;
  };
  return {
    id: () => {
      known ??= getId();
      return known;
    },
    async environment() {
      if (provider === undefined) return {};
      // A role that cannot be assumed is an error here, and not of the process that gets the credentials.
      await provider();
      served ??= servedCredentials(provider, access);
      return served;
    },
  };
}
