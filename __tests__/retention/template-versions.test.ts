import { expect, test } from '@jest/globals';
import { versionsNaming } from '../../src/retention/other-deletions.ts';

test('of versions that name a removed image, neither the default nor one created after the survey is removed', async () => {
  const template = { templateId: 'lt-1', templateName: 'web', imageId: 'ami-1' };
  const version = (number: number, isDefault = false) => ({ ...template, number, isDefault });
  // The survey saw version 4 as the newest; a promotion creates version 5 after it.
  const current = { ...template, version: 4, isDefault: false, isLatest: true };
  const users = { facts: { versions: [current] } };
  const launchTemplates = { withImages: async () => [version(1, true), version(2), version(3), version(4), version(5)] };
  const chosen = await versionsNaming(['ami-1'], users as never, { launchTemplates } as never);
  expect(chosen.map(({ number }) => number)).toEqual([2, 3]);
});
