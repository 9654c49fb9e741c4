import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { organizations } from '../../lab/ec2/images.ts';
import { setTags } from '../../lab/ec2/state.ts';
import { setTrust } from '../../lab/sts-trust.ts';
import { modes } from '../../src/modes.ts';
import { ADMINISTRATOR, removeWorkspaces } from '../harness.ts';
import { type Commit, history, type Served, serve } from './github.ts';
import { BUILD, COMMIT, HOME, PROD, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

let l: ShareLab;
const servers: Served[] = [];
beforeEach(async () => {
  l = await shareLab();
});
afterEach(async () => {
  await l.lab.close();
  await Promise.all(servers.splice(0).map(server => server.close()));
});
afterAll(removeWorkspaces);

const resolve = (
  wanted: Record<string, string>,
  { env = {}, ...as }: { account?: string; region?: string; role?: string; env?: Record<string, string> } = {},
) => l.act('resolve', wanted, { as: { account: BUILD, region: HOME, ...as }, env });

async function pointTo(value: string, account: string, region = HOME, name = '/ami/web/stage'): Promise<void> {
  const { AWS_ACCESS_KEY_ID = '' } = l.lab.environment({ account });
  const ssm = new SSMClient({ endpoint: l.lab.url, region, credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: 'x' } });
  await ssm.send(new PutParameterCommand({ Name: name, Value: value, Type: 'String', Overwrite: true }));
}

const share = (image: string, wanted: Record<string, string>) => l.act('share', { image, 'target-role': ROLE, ...wanted });
const READER = ROLE.replace('{account}', STAGE);

// Each selector asks AWS something else, and every mode needs the permission for all of them.
describe.each(Object.keys(modes).filter(mode => 'image' in (modes[mode]?.settings ?? {})))('mode %s', mode => {
  const needs: Record<string, Record<string, string>> = {
    validate: { checks: '- command: "true"' },
    share: { accounts: STAGE },
    promote: { strategy: 'none' },
    rollback: { strategy: 'none' },
  };

  test.each(['environment:prod', 'previous'])('takes image: %s', async image => {
    const [before, now] = [l.image('web-1'), l.image('web-2', { tags: { 'ami-action:commit': 'd'.repeat(40) } })];
    await pointTo(before, BUILD, HOME, '/ami/web/prod');
    for (const id of [before, now]) await pointTo(id, BUILD);
    const dry = mode === 'resolve' ? {} : { 'dry-run': 'true' };
    const ran = await l.act(mode, { image, environment: 'stage', ...needs[mode], ...dry });
    expect([ran.outputs['ami-id'], ran.errors.filter(error => !error.includes('is kept: used by parameter'))]).toEqual([before, []]);
  });
});

describe("stage's image, from the account of prod", () => {
  test('is the shared image itself, or the copy with its identity', async () => {
    const id = l.image('web-1');
    l.image('web-2', { tags: { 'ami-action:commit': 'd'.repeat(40) } });
    await share(id, { accounts: STAGE, copy: PROD });
    await pointTo(id, STAGE);
    const found = await resolve({ image: 'environment:stage', 'from-role': READER }, { account: PROD });
    const [copy] = l.owned(PROD);
    expect(found).toMatchObject({ exitCode: 0, outputs: { 'ami-id': copy?.id, verdict: 'passed', commit: COMMIT } });
    expect(found.outputs['reason']).toBe(`/ami/web/stage names ${id}, version 1, and ${copy?.id} has its identity here`);
    const shared = l.image('web-3', { tags: { 'ami-action:commit': 'e'.repeat(40) } });
    await share(shared, { accounts: `${STAGE},${PROD}` });
    await pointTo(shared, STAGE);
    expect((await resolve({ image: 'environment:stage', 'from-role': READER }, { account: PROD })).outputs).toMatchObject({
      'ami-id': shared,
      verdict: 'passed',
    });
  });

  test('is found across regions, too', async () => {
    const id = l.image('web-1');
    await share(id, { regions: 'eu-west-1' });
    await pointTo(id, BUILD);
    const [copy] = l.owned(BUILD, 'eu-west-1');
    const found = await resolve({ image: 'environment:stage', 'from-region': HOME }, { region: 'eu-west-1' });
    expect(found.outputs).toMatchObject({ 'ami-id': copy?.id, verdict: 'passed' });
  });

  test('that is not here yet is no reason for the base image: the fleet would be rebuilt with it', async () => {
    const id = l.image('web-1', {}, l.lab.place(STAGE));
    const base = l.image('base', { tags: { 'ami-action:family': 'base' } }, l.lab.place(PROD));
    await pointTo(id, STAGE);
    const ran = await resolve({ image: 'environment:stage', 'from-role': READER, 'base-image': base }, { account: PROD });
    expect([ran.exitCode, ran.outputs['outcome'], ran.outputs['ami-id']]).toEqual([1, 'rejected', undefined]);
    expect(ran.errors).toEqual([
      `No image: /ami/web/stage names ${id}, version 1, and no image here has the identity of ${id} (commit c0ffee0): share it with this account and region.\nNext: Run mode "share" in the account of the image, with "accounts" or "regions" for this one, and with "target-role" for tags and verdict.`,
    ]);
  });

  test('cannot be read with a role that does not trust the caller: the error names both accounts', async () => {
    setTrust(l.lab.core, READER, { principals: [BUILD] });
    const ran = await resolve({ image: 'environment:stage', 'from-role': READER }, { account: PROD, role: ADMINISTRATOR });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'access']);
    expect(ran.errors.join('\n')).toContain(
      `Not allowed to assume ${READER}: User: arn:aws:iam::${PROD}:user/lab is not authorized to perform: sts:AssumeRole on resource: ${READER}`,
    );
    expect(ran.errors.join('\n')).toContain(
      `Next: In account ${READER.split(':')[4]}, allow arn:aws:iam::${PROD}:user/lab in the trust policy of ${READER}. In account ${PROD}, grant arn:aws:iam::${PROD}:user/lab sts:AssumeRole on that role.`,
    );
  });
});

describe('shared images', () => {
  test('of an organization are found by the tags that they have here', async () => {
    const id = l.image('web-1');
    const unit = 'arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678';
    organizations(l.lab.core).set(unit, new Set([STAGE]));
    l.labImage(id).launchers.add(unit);
    expect((await resolve({ image: 'latest' }, { account: STAGE })).errors.join('\n')).toContain(
      'No image: family "web" has no image in eu-central-1.',
    );
    setTags(l.lab.place(STAGE), id, l.tags(id, BUILD));
    expect((await resolve({ image: 'latest' }, { account: STAGE })).outputs).toMatchObject({ 'ami-id': id, verdict: 'passed' });
  });

  test('are found behind more than one page, own and shared together, and two of one commit are refused', async () => {
    const ids = Array.from({ length: 5 }, (_, index) => l.image(`web-${index}`, { tags: { 'ami-action:commit': `${index}`.repeat(40) } }));
    for (const id of ids.slice(0, 4)) await share(id, { accounts: STAGE });
    const own = l.image('own', { tags: { 'ami-action:commit': '3'.repeat(40) } }, l.lab.place(STAGE));
    expect((await resolve({ image: `commit:${'2'.repeat(12)}` }, { account: STAGE })).outputs['ami-id']).toBe(ids[2]);
    const two = await resolve({ image: `commit:${'3'.repeat(12)}`, 'base-image': own }, { account: STAGE });
    expect(two.errors.join('\n')).toMatch(
      new RegExp(`matches 2 images of family "web": (${own}, ${ids[3]}|${ids[3]}, ${own})\\. Set "image" to one of these IDs`),
    );
  });

  test('with the commit under the key that a team has already', async () => {
    const id = l.image('web-1', { tags: { GIT_SHA: 'abcdef0123', 'ami-action:commit': '' } });
    expect((await resolve({ image: 'commit:abcdef0', 'commit-tag': 'GIT_SHA' })).outputs).toMatchObject({
      'ami-id': id,
      commit: 'abcdef0123',
    });
  });
});

describe('the chain: pointer, then base image', () => {
  test('a first deployment has no pointer yet, and gets the base image', async () => {
    const base = l.image('base', { tags: { 'ami-action:family': 'base' } });
    await pointTo(base, BUILD, HOME, '/base/latest');
    const ran = await resolve({ image: 'environment:stage', 'base-image': 'ssm:/base/latest' });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { 'ami-id': base, from: 'base-image' } });
    expect(ran.outputs['reason']).toContain('parameter /ami/web/stage does not exist in eu-central-1');
    const id = l.image('web-1');
    await pointTo(id, BUILD);
    expect((await resolve({ image: 'environment:stage', 'base-image': 'ssm:/base/latest' })).outputs).toMatchObject({
      'ami-id': id,
      from: 'selector',
    });
  });

  test('a pointer that may not be read, or that names nothing, is no missing pointer', async () => {
    const base = l.image('base');
    await pointTo('ami-00000000000000000', BUILD);
    const gone = await resolve({ image: 'environment:stage', 'base-image': base });
    expect([gone.exitCode, gone.outputs['ami-id']]).toEqual([1, undefined]);
    expect(gone.errors.join('\n')).toContain('No image: parameter /ami/web/stage names ami-00000000000000000, which does not exist here.');
    l.lab.faults.add({ service: 'ssm', operation: 'GetParameter*', action: { refuse: 'denied' } });
    const denied = await resolve({ image: 'environment:stage', 'base-image': base });
    expect([denied.exitCode, denied.outputs['outcome'], denied.outputs['ami-id']]).toEqual([1, 'access', undefined]);
  });
});

describe('last known good, through the API of GitHub', () => {
  const sha = (index: number) => `${index}`.padStart(3, '0').repeat(14).slice(0, 40);
  /** A line of commits, newest first; every second one has merged a branch, whose commits stand between by date. */
  const line = (length: number): Commit[] =>
    Array.from({ length }, (_, index): Commit[] => {
      const merged = `f${sha(index).slice(1)}`;
      return [
        { sha: sha(index), parents: index + 1 < length ? [sha(index + 1), ...(index % 2 === 0 ? [merged] : [])] : [] },
        ...(index % 2 === 0 && index + 1 < length ? [{ sha: merged, parents: [sha(index + 1)] }] : []),
      ];
    }).flat();
  const env = (server: Served) => ({ GITHUB_API_URL: server.url, GITHUB_TOKEN: 'of-this-job' });
  const good = (index: number, tags: Record<string, string> = {}) =>
    l.image(`web-${index}`, { tags: { 'ami-action:commit': sha(index), ...tags } });

  test('the newest commit has no image yet, so the newest that has a passed one is taken and reported', async () => {
    const server = await history({ main: sha(0) }, line(8), { perPage: 3 });
    servers.push(server);
    good(1, { 'ami-action:verdict': '' });
    const [three] = [good(3), good(5)];
    const merged = l.image('merged', { tags: { 'ami-action:commit': `f${sha(2).slice(1)}` } });
    const ran = await resolve({ image: 'ref:main', fallback: 'last-known-good' }, { env: env(server) });
    expect(ran).toMatchObject({ exitCode: 0, outputs: { 'ami-id': three, commit: sha(3), verdict: 'passed' } });
    expect(ran.outputs['reason']).toBe(`commit ${sha(3).slice(0, 7)}: 3 first parents back, the newest commit with a passed image`);
    // A commit that came by a merge was never what main was.
    expect(ran.outputs['ami-id']).not.toBe(merged);
    expect(server.asked.length).toBeGreaterThan(1);
    good(0);
    expect((await resolve({ image: 'ref:main', fallback: 'last-known-good' }, { env: env(server) })).outputs['reason']).toContain(
      'its own image has passed',
    );
  });

  test('reads no further than "walk", and says so', async () => {
    const server = await history({ main: sha(0) }, line(30));
    servers.push(server);
    good(20);
    const ran = await resolve({ image: 'ref:main', fallback: 'last-known-good', walk: '10' }, { env: env(server) });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'rejected']);
    expect(ran.errors.join('\n')).toContain('No image: none of the newest 10 commits has a passed image of family "web".');
    expect((await resolve({ image: `commit:${sha(15)}`, fallback: 'last-known-good', walk: '10' }, { env: env(server) })).exitCode).toBe(0);
  });

  test.each([
    ['a branch that is not there', 404, {}, 'usage', 'Repository acme/web has no commit or branch "main", or the token cannot read it'],
    [
      'a private repository of others',
      404,
      {},
      'usage',
      'For another private repository, set "github-token" to a token that can read its contents',
    ],
    ['a token without permission', 403, {}, 'access', 'GitHub refused to list the commits of acme/web'],
    ['too many requests', 403, { 'x-ratelimit-remaining': '0' }, 'timeout', 'The rate limit of GitHub is used up'],
    ['an outage', 502, {}, 'timeout', 'GitHub could not list the commits of acme/web'],
  ])('%s is reported as what it is', async (_, status, headers, outcome, says) => {
    const server = await serve(() => ({ status, headers, body: { message: 'no' } }));
    servers.push(server);
    const ran = await resolve({ image: 'ref:main', fallback: 'last-known-good' }, { env: env(server) });
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, outcome]);
    expect(ran.errors.join('\n')).toContain(says);
  });
});
