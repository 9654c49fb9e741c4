import type { Clock, RegionClients, Where } from '../../ports/deps.ts';
import { stsAccount } from './account.ts';
import { ec2Capture } from './capture-image.ts';
import { awsClients, type Clients } from './clients.ts';
import { ssmCommands } from './commands.ts';
import { autoScalingGroups } from './groups.ts';
import { awsImageUsers } from './image-users/all.ts';
import { ec2Images } from './images.ts';
import { ec2Instances } from './instances.ts';
import { ec2LaunchTemplates } from './launch-templates.ts';
import { ec2Leftovers } from './leftovers.ts';
import { ssmParameters } from './parameters.ts';
import { ec2Removal } from './removal.ts';
import type { Access } from './session.ts';
import { awsSharing } from './sharing.ts';

/** The ports of every account and region that a mode asks for; asked twice, the same. */
export function regionClients(access: Access): (where: Where) => RegionClients {
  const connect = new Map<string, RegionClients>();
  return where => {
    const key = `${where.region} ${where.role ?? ''}`;
    const known = connect.get(key);
    if (known !== undefined) return known;
    const made = aws(awsClients(where, access), access.clock);
    connect.set(key, made);
    return made;
  };
}

const aws = ({ ec2, ssm, sts, autoScaling, kms, balancing, classic, provider }: Clients, clock: Clock): RegionClients => ({
  account: stsAccount(sts, provider, clock),
  images: ec2Images(ec2),
  instances: ec2Instances(ec2),
  commands: ssmCommands(ssm),
  parameters: ssmParameters(ssm),
  groups: autoScalingGroups(autoScaling, ec2, { balancing, classic }),
  launchTemplates: ec2LaunchTemplates(ec2),
  imageUsers: awsImageUsers({ ec2, ssm, autoScaling }),
  removal: ec2Removal(ec2),
  leftovers: ec2Leftovers(ec2),
  capture: ec2Capture(ec2),
  sharing: awsSharing(ec2, kms),
});
