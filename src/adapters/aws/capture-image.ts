import { CreateImageCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { Capture } from '../../ports/images.ts';
import { toEc2Tags } from './ec2.ts';
import { asExpected, isCode } from './errors.ts';

export const ec2Capture = (ec2: EC2Client): Capture => ({
  async image({ instanceId, name, noReboot, tags }) {
    const Tags = toEc2Tags(tags);
    // Tagged in the call that makes it: there is no moment at which nobody knows whose it is.
    const TagSpecifications = (['image', 'snapshot'] as const).map(ResourceType => ({ ResourceType, Tags }));
    try {
      const { ImageId } = await ec2.send(
        new CreateImageCommand({ InstanceId: instanceId, Name: name, NoReboot: noReboot, TagSpecifications }),
      );
      return ImageId;
    } catch (cause) {
      // CreateImage knows no client token: the name is what makes it happen once.
      if (isCode(cause, 'InvalidAMIName.Duplicate')) return undefined;
      return asExpected(`make an image of ${instanceId} (ec2:CreateImage, ec2:CreateTags)`)(cause);
    }
  },
});
