import { describe, expect, test } from '@jest/globals';
import { nextStep } from '../../src/doctor/rules/findings.ts';
import { runnerFindings } from '../../src/doctor/rules/runner.ts';
import { trustFinding } from '../../src/doctor/rules/trust.ts';
import { imageFindings } from '../../src/doctor/surroundings.ts';
import { AccessError } from '../../src/kit/errors.ts';
import type { AllowedImages, ImageKey } from '../../src/model/image-access.ts';
import { image } from '../rollout/roll-world.ts';

const ROLE = 'arn:aws:iam::111122223333:role/ami-web-images';
const P = 'token.actions.githubusercontent.com:';
const CLAIMS = { aud: 'sts.amazonaws.com', sub: 'repo:acme/web:ref:refs/heads/main', repository_id: '456789', ref: 'refs/heads/main' };
const policy = (Condition: object, Action: unknown = 'sts:AssumeRoleWithWebIdentity') =>
  JSON.stringify({
    Statement: [
      {
        Effect: 'Allow',
        Action,
        Principal: { Federated: 'arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com' },
        Condition,
      },
    ],
  });

describe('the token against the trust policy', () => {
  test.each([
    [
      'matches',
      policy({ StringEquals: { [`${P}aud`]: 'sts.amazonaws.com', [`${P}sub`]: CLAIMS.sub } }),
      'ok',
      /matches aud "sts.amazonaws.com", sub "repo:/,
    ],
    ['matches a pattern', policy({ StringLike: { [`${P}sub`]: ['repo:acme/*'] } }), 'ok', /matches sub "repo:/],
    [
      'names what differs',
      policy({ StringEquals: { [`${P}sub`]: ['repo:acme/web:ref:refs/heads/master'], [`${P}repository_id`]: '456789' } }),
      'warning',
      /: sub is "repo:acme\/web:ref:refs\/heads\/main", the trust policy has StringEquals repo:acme\/web:ref:refs\/heads\/master$/,
    ],
    [
      'warns where any repository may enter',
      policy({ StringEquals: { [`${P}aud`]: 'sts.amazonaws.com' } }),
      'warning',
      /has no condition on sub/,
    ],
    ['warns where any repository may enter, without any condition', policy({}), 'warning', /has no condition on sub/],
    ['leaves other ways alone', policy({}, 'sts:AssumeRole'), 'skipped', /trusts no OIDC token of GitHub/],
    [
      'says what it has where the policy cannot be read',
      undefined,
      'skipped',
      /^aud "sts.amazonaws.com", sub "repo:.*cannot be read \(iam:GetRole\)/,
    ],
  ] as const)('%s', (_, trust, status, says) => {
    const finding = trustFinding(ROLE, CLAIMS, trust);
    expect([finding.status, finding.says]).toEqual([status, expect.stringMatching(says)]);
    if (status === 'warning' || trust === undefined) expect(finding.fix).toContain(`"${P}sub":"${CLAIMS.sub}"`);
  });
});

describe('the runner', () => {
  const fine = { node: 'v24.1.0', system: 'linux x64', git: '2.39.5', freeBytes: 14 * 1024 ** 3, skewMs: 0 };
  test.each([
    [{}, 'ok', 'Node 24.1.0, git 2.39.5, linux x64, 14.0 GiB free'],
    [{ git: undefined }, 'warning', 'git is not installed, so the changed files of the checkout cannot be found'],
    [{ freeBytes: 1024 ** 3 }, 'warning', 'only 1.0 GiB of disk are free'],
    [{ skewMs: -420_000 }, 'warning', 'its clock differs from that of AWS by 7m'],
  ] as const)('%j', (change, status, says) => {
    expect(runnerFindings({ ...fine, ...change }).map(finding => [finding.status, finding.says])).toEqual([[status, says]]);
  });
});

describe('the newest image', () => {
  const newest = { ...image('ami-0aaaaaaaaaaaaaaaa'), ownerId: '111122223333' };
  const key: ImageKey = {
    arn: 'arn:aws:kms:eu-central-1:111122223333:key/1',
    managedByAws: false,
    usable: true,
    policy: undefined,
    grantees: undefined,
  };
  type Key = ImageKey | AccessError;
  const findings = async (found: readonly (typeof newest)[], of: Key | undefined, allowed: AllowedImages | undefined) => {
    const aws = {
      account: { id: async () => '111122223333' },
      images: { find: async () => found },
      sharing: {
        keysOf: async () => (of === undefined ? [] : [key.arn]),
        key: async () => {
          if (of instanceof AccessError) throw of;
          return of;
        },
        allowed: async () => allowed,
      },
    };
    const around = { region: 'eu-central-1', roleToAssume: undefined, tagPrefix: 'ami-action:', commitTag: 'ami-action:commit' };
    const deps = { inRegion: () => aws, clock: { now: () => 0 } } as unknown as Parameters<typeof imageFindings>[2];
    return (await imageFindings('web', around, deps)).map(({ area, status, says }) => `${area} ${status}: ${says}`);
  };
  const off: AllowedImages = { state: 'disabled', criteria: [] };
  const only: AllowedImages = {
    state: 'enabled',
    criteria: [{ providers: ['amazon'], names: [], daysSinceCreated: undefined, daysSinceDeprecated: undefined, further: [] }],
  };

  test('is not encrypted, and nothing limits AMIs', async () => {
    expect(await findings([newest], undefined, off)).toEqual([
      `KMS ok: ${newest.id} is not encrypted`,
      'Allowed AMIs ok: disabled in eu-central-1',
    ]);
  });

  test('has a key that can be used, one that is disabled, or one that the role may not read', async () => {
    expect((await findings([newest], key, off))[0]).toBe(`KMS ok: ${key.arn} can be used`);
    expect((await findings([newest], { ...key, usable: false }, off))[0]).toBe(
      `KMS problem: ${newest.id} is encrypted with ${key.arn}, which is not enabled: no instance can launch it`,
    );
    expect((await findings([newest], new AccessError('denied'), off))[0]).toBe(
      `KMS skipped: the role may not read the key of ${newest.id}`,
    );
  });

  test('of another account may be refused by Allowed AMIs; an own one never is', async () => {
    expect((await findings([newest], undefined, only))[1]).toBe(`Allowed AMIs ok: enabled, and ${newest.id} is allowed`);
    expect((await findings([{ ...newest, ownerId: '999988887777' }], undefined, only))[1]).toBe(
      `Allowed AMIs warning: enabled, and ${newest.id} of account 999988887777 may be refused: Allowed AMIs there do not list account 999988887777`,
    );
    expect((await findings([newest], undefined, undefined))[1]).toBe(
      'Allowed AMIs skipped: the role may not read them (ec2:GetAllowedImagesSettings)',
    );
  });

  test('does not exist yet', async () => {
    const none = 'the family has no image here yet';
    expect(await findings([], undefined, only)).toEqual([`KMS skipped: ${none}`, `Allowed AMIs skipped: enabled; ${none}`]);
  });
});

test('the next step is the first fix, else the first real command', () => {
  const ok = { area: 'a', status: 'ok', says: 'fine' } as const;
  expect(nextStep([ok, { area: 'b', status: 'warning', says: 'x', fix: 'Do y.' }], ['promote'], 'stage')).toBe('Do y.');
  expect(nextStep([ok], ['promote'], 'stage')).toBe('npx ami-action promote --environment stage --dry-run');
  expect(nextStep([ok], [], undefined)).toBe('npx ami-action build --dry-run');
});
