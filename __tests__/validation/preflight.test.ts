import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import type { Architecture, Image, ImageState } from '../../src/model/image.ts';
import { readDeliveries, readUserData } from '../../src/validation/check-files.ts';
import { chooseTypes, evaluateImage } from '../../src/validation/preflight.ts';
import { checksSchema } from '../../src/validation/rules/checks.ts';

const image = (over: Partial<Image> = {}) =>
  ({ id: 'ami-1', architecture: 'x86_64', state: 'available', stateReason: '', ...over }) as Image;

const KNOWN: Readonly<Record<string, readonly Architecture[]>> = {
  't3.micro': ['x86_64'],
  't3a.micro': ['x86_64'],
  't4g.micro': ['arm64'],
  't2.micro': ['i386', 'x86_64'],
};
const place = { instances: { architectures: async (type: string) => KNOWN[type] } } as unknown as Parameters<typeof chooseTypes>[2];
const choose = (wanted: readonly string[], over: Partial<Image> = {}) => chooseTypes(wanted, image(over), place);

describe('the instance types of a validation', () => {
  test.each([
    [[], {}, [['t3.micro']]],
    [[], { architecture: 'arm64' }, [['t4g.micro']]],
    [['t3.micro', 't2.micro'], {}, [['t3.micro'], ['t2.micro']]],
    [['t3.micro | t3a.micro', 't2.micro'], {}, [['t3.micro', 't3a.micro'], ['t2.micro']]],
  ] as const)('%j of %j', async (wanted, over, legs) => {
    expect(await choose(wanted, over)).toEqual(legs);
  });

  test.each([
    [['t4g.micro'], {}, '"test-instance-types": t4g.micro runs arm64, and image ami-1 is x86_64'],
    [['t3.micro | t4g.micro'], { architecture: 'arm64' }, '"test-instance-types": t3.micro runs x86_64, and image ami-1 is arm64'],
    [['x9.huge'], {}, '"test-instance-types": x9.huge does not exist in this region'],
    [[], { architecture: 'arm64_mac' }, '"test-instance-types" is required: arm64_mac has no default'],
    [[], { platform: 'windows' }, 'Image ami-1 is for Windows, and checks run on Linux only'],
  ] as const)('%j of %j is refused before anything is launched', async (wanted, over, says) => {
    await expect(choose(wanted, over)).rejects.toThrow(says);
  });
});

// aws-ec2 s5: AWS documents no limit of parameters; a document ends at 64 KB, also once it is JSON.
test('checks whose command is longer than 40,000 characters once it is packed are refused before anything is launched', async () => {
  const checks = (bytes: number) => checksSchema().parse([{ command: `: ${randomBytes(bytes).toString('base64')}` }]);
  expect(await readDeliveries(checks(20_000), {} as never)).toEqual([[]]);
  await expect(readDeliveries(checks(24_000), {} as never)).rejects.toThrow(
    /need a command of 4\d{4} characters, and Run Command accepts about 40000/,
  );
});

describe('user data', () => {
  const read = (content: Uint8Array | undefined) =>
    readUserData('setup.sh', {
      read: async path => (content === undefined ? undefined : [{ path, content, executable: false }]),
      write: async () => undefined,
    });

  test.each([
    ['is not there', undefined, '"user-data" names setup.sh, which does not exist in the repository'],
    ['is compressed', gzipSync('#!/bin/sh'), '"user-data" names setup.sh, which is compressed: it must be text'],
    ['is too long', Buffer.alloc(17_000, 'x'), '"user-data" is too long: '],
  ])('that %s is reported before a launch', async (_, content, says) => {
    await expect(read(content)).rejects.toThrow(says);
  });

  test('is read unchanged', async () => {
    expect(await read(Buffer.from('#!/bin/sh\necho ä\n'))).toBe('#!/bin/sh\necho ä\n');
  });
});

describe('scenario 36: an image', () => {
  test.each([
    ['available', 'done'],
    ['pending', 'waiting'],
    ['transient', 'waiting'],
    ['failed', 'failed'],
    ['error', 'failed'],
    ['invalid', 'failed'],
    ['disabled', 'failed'],
    ['deregistered', 'failed'],
  ] as [ImageState, string][])('that is %s is %s', (state, look) => {
    expect(evaluateImage(image({ state, stateReason: 'no disk' }))).toMatchObject({ state: look });
    if (look === 'failed') expect(evaluateImage(image({ state, stateReason: 'no disk' }))).toMatchObject({ reason: `${state}: no disk` });
  });

  test('that is gone has failed', () => {
    expect(evaluateImage(undefined).state).toBe('failed');
  });
});
