import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTrust } from '../../lab/sts-trust.ts';
import { ADMINISTRATOR, type Order, type Ran, removeWorkspaces, runAction } from '../harness.ts';
import { rollLab } from './roll-lab.ts';

/** The mistakes of a first week: what the message says, and that nothing in AWS was changed. */

type RollLab = Awaited<ReturnType<typeof rollLab>>;
let l: RollLab;
let used: string;
const FILE = 'family: web\nenvironments:\n  stage: { groups: [web-stage] }\n';

beforeAll(async () => {
  l = await rollLab();
  used = l.image('web-a');
  const template = await l.template('web', { ImageId: used });
  await l.group('web-stage', { LaunchTemplateId: template, Version: '1' }, { DesiredCapacity: 1 });
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const run = (mode: string, given: Readonly<Record<string, string>>, more: Partial<Order> = {}): Promise<Ran> =>
  runAction({ mode, with: { ...given }, lab: l.lab, files: { '.github/ami.yml': FILE }, ...more });
const file = (content: string) => ({ files: { '.github/ami.yml': content } });
const stage = { environment: 'stage' };
const SECRET = 's3cr3t-abc';

type Mistake = readonly [what: string, provoke: () => Promise<Ran>, message: string];
const MISTAKES: readonly Mistake[] = [
  [
    'a branch as an image',
    () => run('promote', { ...stage, image: 'main' }),
    '"image" is not a selector, did you mean "ref:main"? Got "main"',
  ],
  [
    'an environment as an image',
    () => run('promote', { ...stage, image: 'stage' }),
    '"image" is not a selector, did you mean "environment:stage"? Got "stage"',
  ],
  [
    'a pipeline that was not told of its architectures',
    () => run('validate', { image: 'several-images', checks: '[no-failed-units]' }),
    '"image" must be one image, and the build made several: set the input "architectures" of ami-pipeline.yml, got "several-images"',
  ],
  ['newest', () => run('promote', { ...stage, image: 'newest' }), '"image" is not a selector, did you mean "latest"? Got "newest"'],
  [
    'a commit that is too short',
    () => run('promote', { ...stage, image: 'commit:abc' }),
    '"image" must be commit: and 7 to 64 hexadecimal digits, got "commit:abc"',
  ],
  [
    'an image ID that is too short',
    () => run('promote', { ...stage, image: 'ami-123' }),
    '"image" must be an image ID: ami- and 8 or 17 hexadecimal digits, got "ami-123"',
  ],
  [
    'a commit without an image',
    () => run('promote', { ...stage, image: 'commit:abcdef1' }),
    'No image: commit:abcdef1 matches no image of family "web". It has 1, newest first: AMI (commit ccccccc).\nNext: The build of this commit has not finished, has failed or never ran. Wait for it, build the commit, or set "fallback: last-known-good".',
  ],
  [
    'the pointer of another account',
    () => run('promote', { ...stage, image: 'environment:prod' }, file('family: web\ngroups: [web-stage]\n')),
    'No image: parameter /ami/web/prod does not exist in eu-central-1.\nNext: If environment "prod" is in another account or region, set "from-role" or "from-region". Otherwise promote an image to it first.',
  ],
  [
    'a region without images',
    () => run('promote', { ...stage, region: 'us-east-1' }),
    'No image: family "web" has no image in us-east-1.\nNext: Check "region" and the role. Mode "list" shows the families that exist there.',
  ],
  [
    'a group that does not exist',
    () => run('promote', { ...stage, groups: 'web-stag' }),
    '"groups": Auto Scaling group "web-stag" does not exist in this account and region, did you mean "web-stage"?',
  ],
  [
    'ami.yaml',
    () => run('promote', stage, { files: { '.github/ami.yaml': FILE } }),
    '.github/ami.yaml is not read: rename it to .github/ami.yml, or set "config: .github/ami.yaml"',
  ],
  [
    'no checkout',
    () => run('promote', stage, { files: {} }),
    '"family" is missing: The images of one application: the value of their tag `ami-action:family`.\nNext: .github/ami.yml does not exist in the workspace. If the repository has one, run actions/checkout before this step.',
  ],
  [
    'a line without a colon',
    () => run('promote', stage, file('family: web\nregion eu-central-1\n')),
    '.github/ami.yml line 2: "region eu-central-1" lacks a colon',
  ],
  [
    'a tab',
    () => run('promote', stage, file('family: web\nenvironments:\n\tstage: {}\n')),
    '.github/ami.yml line 3: indent with spaces, not with tabs',
  ],
  ['a key twice', () => run('promote', stage, file('family: web\nfamily: api\n')), '.github/ami.yml line 2: "family" is set twice'],
  [
    'an environment at the top of the file',
    () => run('promote', stage, file('family: web\nstage: { groups: [web-stage] }\n')),
    '"stage" (.github/ami.yml) looks like an environment: put it under "environments:"',
  ],
  [
    'the mode in the file',
    () => run('promote', stage, file(`mode: promote\n${FILE}`)),
    '"mode" (.github/ami.yml) belongs under "with:" in the workflow',
  ],
  [
    'a guard in the file',
    () => run('promote', stage, file(`allowed-refs: main\n${FILE}`)),
    '"allowed-refs" (.github/ami.yml) is read under "with:" only: a branch could change it in this file',
  ],
  [
    'a secret in the file',
    () => run('build', {}, file(`secret-var: { license: ${SECRET} }\n${FILE}`)),
    '"secret-var" (.github/ami.yml) is a secret, and this file is committed: set it under "with:", from ${{ secrets.NAME }}',
  ],
  [
    'a secret that is no map',
    () => run('build', { 'secret-var': `- ${SECRET}` }),
    '"secret-var" must be a map, one "key: value" or KEY=VALUE a line (its value is not shown)',
  ],
  ['a secret in another mode', () => run('list', { 'secret-var': SECRET }), '"secret-var" (with) does nothing in this mode: remove it'],
  [
    'an environment that does not exist',
    () => run('promote', { environment: 'stag' }),
    '"environment" is not one of stage (.github/ami.yml), did you mean "stage"? Got "stag"',
  ],
  [
    'a setting of another mode',
    () => run('promote', { ...stage, 'keep-newest': '3' }),
    '"keep-newest" (with) does nothing in this mode: remove it',
  ],
  [
    'a setting with a typing error',
    () => run('promote', { ...stage, grops: 'web' }),
    '"grops" (with) is not a setting, did you mean "groups"?',
  ],
  [
    'an unknown placeholder',
    () => run('promote', { ...stage, pointer: '/deploy/{env}/{family}' }),
    '"pointer" must be a parameter name that starts with "/"; its placeholders are {family}, {environment} and {architecture}, got "/deploy/{env}/{family}"',
  ],
  ['a folder as the file', () => run('promote', { ...stage, config: '.github' }), '"config" must be a file, and .github is a directory'],
  [
    'a file that does not exist',
    () => run('promote', { ...stage, config: 'a.yml' }),
    '"config" names a file that does not exist, got "a.yml"',
  ],
  [
    'an address as an http check',
    () => run('validate', { image: 'latest', checks: '- http: http://localhost/health' }),
    '"checks[1].http" takes port, path, status, host, tls: write http: { port: 8080, path: /health }, got "http://localhost/health"',
  ],
  [
    'a role that is no ARN',
    () => run('promote', { ...stage, 'role-to-assume': 'deploy' }),
    '"role-to-assume" must be the ARN of a role, such as arn:aws:iam::111122223333:role/ami-delivery, got "deploy"',
  ],
  [
    'the wrong account',
    () => run('promote', { ...stage, 'allowed-account-ids': '444455556666' }),
    'These credentials belong to account 111122223333, and "allowed-account-ids" allows 444455556666.\nNo changes were made.\nNext: Check role-to-assume, or the credentials of this job.',
  ],
  [
    'the groups of another family',
    () => run('promote', { ...stage, family: 'edge' }),
    '"family" is "edge" under "with:", but "groups" of .github/ami.yml is for family "web": set "groups" under "with:" too, or "config" to the file of "edge"',
  ],
  [
    'the name of an architecture elsewhere',
    () => run('promote', { ...stage, architecture: 'amd64' }),
    '"architecture" must be x86_64 (also called amd64) or arm64 (also called aarch64), got "amd64"',
  ],
  [
    'a check with a typing error',
    () => run('validate', { image: 'latest', checks: '- sevice: web' }),
    '"checks[1]" has an unknown key "sevice", did you mean "service"? Got "{\\"sevice\\":\\"web\\"}"',
  ],
  [
    'a mode with a typing error',
    () => run('promot', {}),
    '"mode" must be one of build, validate, share, promote, rollback, prune, resolve, list, delete, adopt, doctor, did you mean "promote"? Got "promot"',
  ],
  [
    'several settings at once',
    () => run('promote', { environment: 'stag', bake: 'long', grops: 'web' }),
    '3 settings need attention:\n- "environment" is not one of stage (.github/ami.yml), did you mean "stage"? Got "stag"\n- "grops" (with) is not a setting, did you mean "groups"?\n- "bake" must be a duration such as 90s, 45m, 1h30m or 2d, got "long"',
  ],
  ['yes instead of true', () => run('promote', { ...stage, 'dry-run': 'yes' }), '"dry-run" must be true or false, got "yes"'],
  [
    'checks that take longer than the bake time',
    () => run('promote', { ...stage, checks: '[no-failed-units]', bake: '2m' }),
    '"bake" (2m) must be longer than "checks-timeout" (4m): AWS cannot roll back after the bake time',
  ],
  [
    'files that do not exist',
    () =>
      run(
        'build',
        { content: 'src/**', template: 'a.pkr.hcl', 'base-image': used },
        { files: { '.github/ami.yml': FILE, 'a.pkr.hcl': '' } },
      ),
    '"content" matches no file: src/**\nNext: Globs are relative to the workspace. An exclusion needs a glob before it, such as "**".',
  ],
  [
    'a family with a typing error',
    () => run('prune', { family: 'wbe', 'keep-newest': '1' }),
    '"family": no image in eu-central-1 has the tag ami-action:family=wbe. Families there: web.',
  ],
  [
    'an image in use',
    () => run('delete', { image: used }),
    'Image AMI is kept: used by group web-stage, by version 1 of launch template web, instance INSTANCE, launch template web version 1 (default and latest).\nNo changes were made.\nNext: Remove what keeps it, then re-run the job. Mode "list" shows all uses of each image.',
  ],
  [
    'no template',
    () => run('build', {}),
    '"template" is "packer" (the default), which does not exist in the workspace: run actions/checkout in an earlier step',
  ],
];

test.each(MISTAKES)('%s: the message, and no change in AWS', async (_, provoke, message) => {
  const mark = l.lab.calls.mark();
  const ran = await provoke();
  expect([ran.exitCode, ran.errors.map(error => error.replace(/ami-[0-9a-f]{17}/g, 'AMI').replace(/i-[0-9a-f]{17}/, 'INSTANCE'))]).toEqual([
    1,
    [message],
  ]);
  expect(l.lab.calls.since(mark).filter(({ operation }) => !/^(Describe|Get|List|Assume)/.test(operation))).toEqual([]);
  expect(`${ran.log}${ran.summary}`).not.toContain(SECRET);
});

test('a role that a build cannot assume is one error, and no leftovers are reported', async () => {
  const role = 'arn:aws:iam::111122223333:role/ami-delivery';
  setTrust(l.lab.core, role, { principals: ['444455556666'] });
  const given = { 'role-to-assume': role, 'role-chaining': 'true', template: 'a.pkr.hcl' };
  const ran = await run('build', given, { files: { '.github/ami.yml': FILE, 'a.pkr.hcl': '' }, as: { role: ADMINISTRATOR } });
  expect([ran.warnings.filter(warning => !warning.startsWith('Sources of')), ran.errors]).toEqual([
    [],
    [
      `Not allowed to assume ${role}: User: arn:aws:iam::111122223333:user/lab is not authorized to perform: sts:AssumeRole on resource: ${role}\nNext: In account 111122223333, allow arn:aws:iam::111122223333:user/lab in the trust policy of ${role}. In account 111122223333, grant arn:aws:iam::111122223333:user/lab sts:AssumeRole on that role.`,
    ],
  ]);
});

test('a problem in the file is an annotation at its line', async () => {
  const ran = await run('promote', stage, file('family: web\n\nbake: 5\ngroups: [web-stage]\n'));
  expect(ran.log).toContain('::error file=.github/ami.yml,line=3::"bake" must be a duration');
});

test('a file of megabytes is refused at once, and problems by the thousand fit into a summary', async () => {
  const keys = (count: number) => Array.from({ length: count }, (_, n) => `k${n}: x`).join('\n');
  const [large, many] = [await run('promote', stage, file(keys(350_000))), await run('promote', stage, file(keys(9000)))];
  expect(large.errors).toEqual(['"config" must be at most 131072 bytes, and .github/ami.yml has 3738889']);
  expect(many.errors[0]).toMatch(/^9001 settings need attention:\n/);
  expect(Math.max(many.summary.length, many.log.length)).toBeLessThan(30_000);
});
