import type { EC2Client } from '@aws-sdk/client-ec2';
import { expect, test } from '@jest/globals';
import { ec2LaunchTemplates } from '../../src/adapters/aws/launch-templates.ts';

async function contentOf(data: object): Promise<string | undefined> {
  const LaunchTemplateData = { ImageId: 'ami-1', ...data };
  const send = async () => ({ LaunchTemplateVersions: [{ LaunchTemplateId: 'lt-1', VersionNumber: 1, LaunchTemplateData }] });
  return (await ec2LaunchTemplates({ send } as unknown as EC2Client).version({ templateId: 'lt-1', version: '1' }))?.content;
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateInstanceMetadataOptions.html: only answers have the state.
test('a version is equal to its source while its metadata options are pending', async () => {
  const pending = await contentOf({ MetadataOptions: { HttpTokens: 'required', State: 'pending' } });
  expect(pending).toBe(await contentOf({ MetadataOptions: { HttpTokens: 'required', State: 'applied' } }));
  expect(pending).toContain('required');
});

// aws-ec2 s2: AWS documents no order for the lists of an answer.
test('a version is equal to its source whatever the order of its lists', async () => {
  const tags = (...keys: readonly string[]) => ({
    TagSpecifications: [{ ResourceType: 'instance', Tags: keys.map(Key => ({ Key, Value: 'x' })) }],
    SecurityGroupIds: keys,
  });
  expect(await contentOf(tags('a', 'b'))).toBe(await contentOf(tags('b', 'a')));
  expect(await contentOf(tags('a', 'b'))).not.toBe(await contentOf(tags('a', 'c')));
});
