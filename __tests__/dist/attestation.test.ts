import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { images } from '../../lab/ec2/images.ts';
import { setTags, tagsOf } from '../../lab/ec2/state.ts';
import { latest, parameters } from '../../lab/ssm/parameter-state.ts';
import { type Order, removeWorkspaces, runAction } from '../harness.ts';
import { BUILD, COMMIT, HOME, PROD, passChecks, ROLE, type ShareLab, STAGE, shareLab } from './share-lab.ts';

/** The manifest that validate writes, and the environment that requires its signature. The GitHub CLI is a script that knows what was signed. */

let l: ShareLab;
const pointer = () => {
  const found = parameters(l.home).get('/ami/web/stage');
  return found === undefined ? undefined : latest(found).value;
};
let bin: string;
let image: string;
beforeEach(async () => {
  l = await shareLab({ speed: 600 });
  passChecks(l);
  image = l.image('web-1', { tags: { 'ami-action:base-ami': 'ami-0123456789abcdef0' } });
  bin = mkdtempSync(join(tmpdir(), 'ami-action-gh-'));
  const script =
    '#!/bin/sh\ndigest=$(sha256sum "$3" | cut -d" " -f1)\necho "$GH_TOKEN $1 $2" >>"$0.calls"\nshift 3\n' +
    'grep -qxF "$digest $*" "$0.signed" || { echo "Error: no attestations found for subject sha256:$digest" >&2; exit 1; }\n';
  writeFileSync(join(bin, 'gh'), script, { mode: 0o755 });
  writeFileSync(join(bin, 'gh.signed'), '');
});
afterEach(async () => {
  await l.lab.close();
  rmSync(bin, { recursive: true });
});
afterAll(removeWorkspaces);

const OWNER = 'acme/web@refs/heads/main';
const FLAGS = '--repo acme/web --source-ref refs/heads/main --predicate-type urn:ami-action:manifest:v1 --format json';
const PATH = () => `${bin}:/usr/bin:/bin`;

const promote = (wanted: Record<string, string> = {}, env: Order['env'] = { PATH: PATH() }) =>
  l.act(
    'promote',
    { image, environment: 'stage', strategy: 'none', 'require-attestation': OWNER, 'github-token': 'ghs_secret', ...wanted },
    { env },
  );

/** Validates, and signs what it wrote. */
async function attest(flags = FLAGS): Promise<string> {
  const wanted = { family: 'web', image, checks: '- command: "true"', manifest: 'out/image.json' };
  const ran = await runAction({ mode: 'validate', lab: l.lab, with: wanted });
  expect([ran.errors, ran.outputs['verdict']]).toEqual([[], 'passed']);
  const subjects = readFileSync(join(ran.workspace, 'out/image.json.sha256'), 'utf8');
  appendFileSync(join(bin, 'gh.signed'), subjects.replace(/ {2}.*/, ` ${flags}`));
  return readFileSync(join(ran.workspace, 'out/image.json'), 'utf8');
}

const refused = (reason: string) => `${image} has no attestation of ${OWNER} ("require-attestation"): ${reason}`;

test('an attested image is promoted, and its manifest says everything that the promotion relies on', async () => {
  const { images: manifest } = JSON.parse(await attest()) as { images: Record<string, unknown>[] };
  const { devices = [] } = images(l.home).get(image) ?? {};
  const checks = /checks:([0-9a-f]{32})/.exec(tagsOf(l.home, image)['ami-action:verdict'] ?? '')?.[1];
  expect(manifest).toEqual([
    {
      ...{ account: '111122223333', region: 'eu-central-1', image, snapshots: devices.map(({ snapshotId }) => snapshotId), family: 'web' },
      ...{ fingerprint: 'f'.repeat(64), commit: COMMIT, base: 'ami-0123456789abcdef0', verdict: 'passed', checks },
    },
  ]);
  expect(await promote()).toMatchObject({ exitCode: 0, outputs: { outcome: 'done' }, errors: [] });
  expect(pointer()).toBe(image);
  expect(readFileSync(join(bin, 'gh.calls'), 'utf8')).toBe('ghs_secret attestation verify\n');
});

test.each([
  ['never signed', async () => {}],
  ['signed by another repository', () => attest(FLAGS.replace('acme/web', 'acme/api'))],
  ['signed on another branch', () => attest(FLAGS.replace('heads/main', 'heads/evil'))],
  ['signed as another predicate', () => attest(FLAGS.replace('manifest:v1', 'other'))],
  ['of another commit since', () => attest().then(() => setTags(l.home, image, { 'ami-action:commit': 'd'.repeat(40) }))],
  ['of other snapshots since', () => attest().then(() => Object.assign(images(l.home).get(image) ?? {}, { devices: [] }))],
])('%s: refused before any write', async (_, prepare) => {
  await prepare();
  const mark = l.lab.calls.mark();
  const ran = await promote();
  expect([ran.exitCode, ran.outputs['outcome'], pointer()]).toEqual([1, 'rejected', undefined]);
  expect(ran.errors.join('\n')).toContain(refused('Error: no attestations found for subject sha256:'));
  expect(ran.errors.join('\n')).toContain('No changes were made.');
  expect(l.lab.calls.since(mark).filter(({ operation }) => /^(Put|Create|Delete|Update|Start)/.test(operation))).toEqual([]);
});

test('without the GitHub CLI, and without a token: refused', async () => {
  await attest();
  expect((await promote({}, { PATH: '/nowhere' })).errors.join()).toContain(refused('the GitHub CLI (gh) is not on PATH'));
  expect((await promote({ 'github-token': '' })).errors.join()).toContain(refused('"github-token" is not set'));
  expect(pointer()).toBeUndefined();
});

test('the statement is canonical: its digest is the one in the second file', async () => {
  const { images: [statement] = [] } = JSON.parse(await attest()) as { images: unknown[] };
  const digest = createHash('sha256')
    .update(`${JSON.stringify(statement)}\n`)
    .digest('hex');
  expect(readFileSync(join(bin, 'gh.signed'), 'utf8')).toBe(`${digest} ${FLAGS}\n`);
});

test('the manifest of share is signed once for all regions and accounts; each copy is promoted, and a changed one is not', async () => {
  const ran = await l.act('share', {
    ...{ image, accounts: STAGE, copy: PROD, regions: 'us-east-1', 'target-role': ROLE, manifest: 'image.json' },
  });
  expect([ran.errors, ran.outputs['outcome']]).toEqual([[], 'done']);
  const { images: statements } = JSON.parse(readFileSync(join(ran.workspace, 'image.json'), 'utf8')) as {
    images: { account: string; region: string; image: string; snapshots: string[]; fingerprint: string; verdict: string }[];
  };
  const places = statements.map(({ account, region }) => `${account} ${region}`);
  expect(places.sort()).toEqual([`${BUILD} ${HOME}`, `${BUILD} us-east-1`, `${PROD} ${HOME}`, `${PROD} us-east-1`].sort());
  expect(new Set(statements.map(one => one.image)).size).toBe(4);
  for (const one of statements) {
    const { devices = [] } = images(l.lab.place(one.account, one.region)).get(one.image) ?? {};
    expect(one).toMatchObject({
      ...{ snapshots: devices.map(({ snapshotId }) => snapshotId), fingerprint: 'f'.repeat(64), verdict: 'passed' },
    });
  }
  const wanted = { image: `commit:${COMMIT}`, environment: 'prod', strategy: 'none', 'require-attestation': OWNER, 'github-token': 'x' };
  const bring = () => l.act('promote', wanted, { as: { account: PROD, region: 'us-east-1' }, env: { PATH: PATH() } });
  const sign = () => {
    const subjects = readFileSync(join(ran.workspace, 'image.json.sha256'), 'utf8');
    appendFileSync(join(bin, 'gh.signed'), subjects.replaceAll(/ {2}.*/g, ` ${FLAGS}`));
  };
  expect((await bring()).outputs['outcome']).toBe('rejected');
  sign();
  expect(await bring()).toMatchObject({ errors: [], outputs: { outcome: 'done' } });
  const prod = l.lab.place(PROD, 'us-east-1');
  const copy = statements.find(one => one.account === PROD && one.region === 'us-east-1')?.image ?? '';
  expect(parameters(prod).get('/ami/web/prod')?.versions.at(-1)?.value).toBe(copy);
  setTags(prod, copy, { 'ami-action:fingerprint': 'e'.repeat(64) });
  expect((await bring()).errors.join()).toContain(`${copy} has no attestation of ${OWNER}`);
});
