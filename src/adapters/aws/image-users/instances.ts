import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { InstanceFact } from '../../../model/image-users.ts';
import { asExpected } from '../errors.ts';
import { allPages } from '../pages.ts';

/** Instances in every state, those of warm pools among them. `imageIds`: only of these. */
export const instanceFacts = async (ec2: EC2Client, imageIds: readonly string[] | undefined): Promise<InstanceFact[]> =>
  // A filter without values is refused.
  imageIds?.length === 0
    ? []
    : allPages(async NextToken => {
        const Filters = imageIds === undefined ? [] : [{ Name: 'image-id', Values: [...imageIds] }];
        const page = await ec2
          .send(new DescribeInstancesCommand({ Filters, MaxResults: 1000, NextToken }))
          .catch(asExpected('describe instances (ec2:DescribeInstances)'));
        const instances = (page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances);
        return {
          items: instances.map(({ InstanceId = '', ImageId = '', State, Tags }) => ({
            id: InstanceId,
            imageId: ImageId,
            state: State?.Name ?? 'unknown',
            group: Tags?.find(({ Key }) => Key === 'aws:autoscaling:groupName')?.Value,
          })),
          next: page.NextToken,
        };
      });
