import { DescribeImagesCommand, type DescribeImagesCommandInput, DescribeTagsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { expect, test } from '@jest/globals';
import { ec2Images } from '../../src/adapters/aws/images.ts';

/** EC2 takes at most 200 values in all filters of a call: FilterLimitExceeded. */

const ids = Array.from({ length: 450 }, (_, n) => `ami-${String(n).padStart(17, '0')}`);

function images() {
  const asked: string[] = [];
  const describe = ({ Filters = [] }: DescribeImagesCommandInput) => {
    if (Filters.reduce((sum, { Values = [] }) => sum + Values.length, 0) > 200) throw new Error('FilterLimitExceeded');
    const named = Filters.find(({ Name }) => Name === 'image-id')?.Values ?? [];
    asked.push(...named);
    return { Images: named.map(ImageId => ({ ImageId })) };
  };
  const send = async (command: unknown) => {
    if (command instanceof DescribeImagesCommand) return describe(command.input);
    if (command instanceof DescribeTagsCommand) return { Tags: ids.map(ResourceId => ({ ResourceId })) };
    throw new Error('unexpected call');
  };
  return { port: ec2Images({ send } as unknown as EC2Client), asked };
}

test('hundreds of images are found by their IDs', async () => {
  const { port, asked } = images();
  expect((await port.find({ ids, includeDisabled: true })).map(({ id }) => id)).toEqual(ids);
  expect(asked).toEqual(ids);
});

test('hundreds of shared images are found by their tags', async () => {
  const { port } = images();
  expect((await port.find({ tags: { 'ami-action:family': 'web' }, shared: true })).map(({ id }) => id)).toEqual(ids);
});
