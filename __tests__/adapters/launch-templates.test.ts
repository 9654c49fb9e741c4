import type { EC2Client } from '@aws-sdk/client-ec2';
import { expect, test } from '@jest/globals';
import { ec2LaunchTemplates } from '../../src/adapters/aws/launch-templates.ts';

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateInstanceMetadataOptions.html: only answers have the state.
test('a version is equal to its source while its metadata options are pending', async () => {
  const contentOf = async (State: string) => {
    const LaunchTemplateData = { ImageId: 'ami-1', MetadataOptions: { HttpTokens: 'required', State } };
    const send = async () => ({ LaunchTemplateVersions: [{ LaunchTemplateId: 'lt-1', VersionNumber: 1, LaunchTemplateData }] });
    return (await ec2LaunchTemplates({ send } as unknown as EC2Client).version({ templateId: 'lt-1', version: '1' }))?.content;
  };
  expect(await contentOf('pending')).toBe(await contentOf('applied'));
  expect(await contentOf('pending')).toContain('required');
});
