import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { labClock } from '../lab/clock.ts';
import { sandboxHypervisor } from '../lab/machines/sandbox.ts';
import { actionsOf, DEPENDENT } from '../scripts/contract-parts.ts';
import { placesOfRepository, REPOSITORY, withRepository } from '../scripts/repository.ts';
import { parseConfigFile, sourcesOf } from '../src/kit/config-file.ts';
import { kebab, type RawValue, readSettings } from '../src/kit/settings.ts';
import { allSettings, modes } from '../src/modes.ts';

const root = join(import.meta.dirname, '..');
const docs = [
  'README.md',
  ...(readdirSync(join(root, 'docs'), { recursive: true }) as string[]).filter(file => file.endsWith('.md')).map(file => `docs/${file}`),
];
const blocksOf = (file: string, language: string) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, block = '']) => block,
  );
const blocks = docs.flatMap(file => blocksOf(file, 'yaml'));

/** The settings of a mode as this file gives them, or the problem with it. */
function understood(
  mode: string,
  content: string,
  environment: string | undefined,
  given: Readonly<Record<string, RawValue>> = {},
): string[] {
  const { sources, problems } = sourcesOf(parseConfigFile('ami.yml', content), environment);
  const settings = modes[mode]?.settings ?? {};
  const withGiven = [
    { name: 'with', file: undefined, values: given },
    ...sources,
    { name: 'AWS_REGION', file: undefined, values: { region: 'eu-central-1' } },
  ];
  try {
    readSettings(settings, { sources: withGiven, known: allSettings(), problems });
    return [];
  } catch (failure) {
    return [(failure as Error).message];
  }
}

const example = readFileSync(join(root, 'examples', 'ami.yml'), 'utf8');
const inReadme = blocksOf('README.md', 'yaml').find(block => block.startsWith('family: web')) ?? '';

test.each([
  ['examples/ami.yml', example],
  ['the README', inReadme],
])('the settings file of %s is understood by every mode', (_, content) => {
  expect(content).toContain('environments:');
  for (const mode of ['build', 'prune', 'list', 'resolve']) expect(understood(mode, content, undefined)).toEqual([]);
  expect(understood('validate', content, undefined, { image: 'latest' })).toEqual([]);
  for (const mode of ['promote', 'rollback']) expect(understood(mode, content, 'prod', { environment: 'prod' })).toEqual([]);
});

/** Every step of the docs that runs the action; the mode of `org/ami-action/share@v1` is in its name. */
const steps = blocks
  .filter(block => block.startsWith('- '))
  .flatMap(block => parse(block, { schema: 'failsafe' }) as { uses?: string; with?: Readonly<Record<string, RawValue>> }[])
  .flatMap(({ uses = '', with: given = {} }) => {
    const [, own] = /^org\/ami-action(?:\/(\w+))?@v1$/.exec(uses) ?? [undefined, undefined];
    return uses.startsWith('org/ami-action') ? [{ with: own === undefined ? given : { mode: own, family: 'web', ...given } }] : [];
  });

/** What an output of an earlier step may be. */
const OUTPUTS: Readonly<Record<string, string>> = { 'plan-hash': '0'.repeat(32), 'ami-id': 'ami-0123456789abcdef0' };

test.each(steps.map(({ with: given }) => [String(given['mode']), given] as const))(
  'the step of the docs for %s is understood',
  (mode, { mode: _, ...given }) => {
    const outputs = Object.entries(given).map(([name, value]) => [name, String(value).startsWith('${{ steps.') ? OUTPUTS[name] : value]);
    expect(understood(mode, 'checks: [disk]\n', undefined, Object.fromEntries(outputs))).toEqual([]);
  },
);

test.each([
  ['examples/ami.yml', example],
  ['the README', inReadme],
])('what %s asks of the example image over HTTP, that image answers', (_, content) => {
  const { checks } = parse(content, { schema: 'failsafe' }) as { checks: readonly { http?: { path: string } }[] };
  const asked = checks.flatMap(({ http }) => (http === undefined ? [] : [http.path]));
  expect(asked).not.toEqual([]);
  const [, answered = ''] = /self\.path in \(([^)]*)\)/.exec(readFileSync(join(root, 'packer', 'app', 'server.py'), 'utf8')) ?? [];
  for (const path of asked) expect(answered).toContain(`"${path}"`);
});

/** Packer's machine as Debian ships it, with tools that only tell what was asked of them. */
test.each([
  ['where there is none', 'rm /usr/local/bin/amazon-ssm-agent', true],
  ['not where there is one', 'true', false],
])('the example image gets an SSM agent %s', async (_, before, installs) => {
  const cacheDirectory = mkdtempSync(join(tmpdir(), 'examples-'));
  const machines = await sandboxHypervisor({ clock: labClock(60), cacheDirectory });
  try {
    const disk = await machines.clone(await machines.baseDisk());
    const address = `127.13.${process.pid % 250}.1`;
    const guest = await machines.boot({
      ...{ instanceId: 'i-00000000000000001', disk, address, authorizedKeys: [], userData: undefined, firstBoot: true, tags: {} },
      onEnd: () => {},
    });
    const sh = (script: string, input = '') => guest.exec(['sh', '-euc', script], { input });
    const tools =
      'for t in dpkg python3; do printf \'#!/bin/sh\\necho "%s $*" >>/asked; echo arm64\\n\' $t >/fake/$t; chmod +x /fake/$t; done';
    await sh(`${before}; mkdir -p /fake /tmp/app; touch /tmp/app/server.py /tmp/app/web.service /asked; ${tools}`);
    const ran = await sh(
      `export PATH="/fake:$PATH" APP_VERSION=1; cat >/install.sh; sh /install.sh; cat /asked`,
      readFileSync(join(root, 'packer', 'scripts', 'install.sh'), 'utf8'),
    );
    expect(ran).toMatchObject({ exitCode: 0 });
    const url = 'https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/debian_arm64/amazon-ssm-agent.deb';
    expect(ran.stdout.includes(` ${url} /tmp/amazon-ssm-agent.deb`)).toBe(installs);
    expect(ran.stdout.includes('dpkg --install /tmp/amazon-ssm-agent.deb')).toBe(installs);
  } finally {
    await machines.close();
    rmSync(cacheDirectory, { recursive: true });
  }
});

test.each([...docs, 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'lab/README.md'])('the links of %s lead somewhere', file => {
  const prose = (path: string) => readFileSync(path, 'utf8').replace(/```[\s\S]*?```/g, '');
  const anchors = (path: string) =>
    [...prose(path).matchAll(/^#+ (.*)$/gm)].map(([, head = '']) =>
      head
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  for (const [, link = ''] of prose(join(root, file)).matchAll(/\]\(([^)]+)\)/g)) {
    if (link.startsWith('https://')) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? join(root, file) : join(root, dirname(file), path);
    expect([link, existsSync(target)]).toEqual([link, true]);
    if (anchor !== undefined) expect(anchors(target)).toContain(anchor);
  }
});

type Statement = {
  Sid?: string;
  Effect: string;
  Action: string | readonly string[];
  Resource: unknown;
  Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};
type Policy = { Statement: readonly Statement[] };

test('no policy lets a job become any role there is', () => {
  for (const mode of Object.keys(modes)) {
    const { Statement } = JSON.parse(readFileSync(join(root, 'examples', 'policies', `${mode}.json`), 'utf8')) as Policy;
    expect(Statement.flatMap(({ Action }) => Action)).not.toContain('sts:AssumeRole');
    for (const { Resource, Condition } of Statement.filter(({ Action }) => Action.includes('iam:PassRole'))) {
      expect(Resource).not.toContain('*');
      expect(Condition?.['StringLike']?.['iam:PassedToService']).toEqual(['autoscaling.amazonaws.com', 'ec2.amazonaws.com*']);
    }
  }
});

test('each further permission names the document that requires it', () => {
  for (const { document, modes: of, actions } of DEPENDENT) {
    expect(document).toMatch(/^https:\/\/(docs\.aws\.amazon\.com|developer\.hashicorp\.com)\//);
    expect(of.filter(mode => !(mode in modes))).toEqual([]);
    expect(actions.filter(action => !/^[a-z0-9-]+:[A-Z]\w+$/.test(action))).toEqual([]);
  }
});

interface Role {
  readonly Type: string;
  readonly Properties: { readonly Policies?: readonly { readonly PolicyDocument: Policy }[]; readonly AssumeRolePolicyDocument: Policy };
}
/** Intrinsic functions are read as what they are given: `!Sub x` is x, of `!If` the first branch. */
const rolesOf = (file: string): readonly (readonly [name: string, role: Role])[] => {
  const { Resources } = parse(readFileSync(join(root, 'examples', file), 'utf8'), { logLevel: 'error' }) as {
    Resources: Readonly<Record<string, Role>>;
  };
  return Object.entries(Resources).filter(([, { Type }]) => Type === 'AWS::IAM::Role');
};
const statementsOf = ({ Properties }: Role): readonly Statement[] =>
  (Properties.Policies ?? [])
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    .map(statement => (Array.isArray(statement) ? (statement[1] as Statement) : statement));

const WRITES_ANYTHING = /^(?!.*:(Describe|Get|List|Lookup))/;
test.each(['delivery-role.yml', 'environment-role.yml'])(
  '%s binds everything that writes to tags, names or ARNs, and fits into a role',
  file => {
    for (const [name, role] of rolesOf(file)) {
      const statements = statementsOf(role);
      const open = statements.filter(
        ({ Effect, Action, Resource, Condition }) =>
          Effect === 'Allow' && Resource === '*' && Condition === undefined && [Action].flat().some(action => WRITES_ANYTHING.test(action)),
      );
      // An SSM agent speaks for its own instance only, whatever its role says.
      expect([
        name,
        open.flatMap(({ Action }) => Action).filter(action => !/^(ssm|ec2)messages:|^ssm:UpdateInstanceInformation$/.test(action)),
      ]).toEqual([name, []]);
      expect(statements.some(({ Action, Resource }) => [Action].flat().includes('iam:PassRole') && Resource === '*')).toBe(false);
      // All inline policies of a role together. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
      expect(JSON.stringify(statements).length).toBeLessThan(10_240 - 2000);
    }
  },
);

test('a test instance reads no parameters', () => {
  const [, role] = rolesOf('delivery-role.yml').find(([name]) => name === 'TestInstance') ?? [];
  expect(
    role &&
      statementsOf(role)
        .flatMap(({ Action }) => Action)
        .filter(action => /Parameter/.test(action)),
  ).toEqual([]);
});

test.each([
  ['delivery-role.yml', 'Images', ['build', 'validate', 'share', 'prune', 'delete', 'adopt', 'resolve', 'list']],
  ['delivery-role.yml', 'Read', ['resolve', 'list']],
  ['environment-role.yml', 'Rollout', ['promote', 'rollback']],
] as const)('%s: the role %s may what its modes may, and nothing else', (file, name, of) => {
  const [, role] = rolesOf(file).find(([other]) => other === name) ?? [];
  const granted = new Set(role === undefined ? [] : statementsOf(role).flatMap(({ Effect, Action }) => (Effect === 'Allow' ? Action : [])));
  const permissions = JSON.parse(readFileSync(join(root, 'permissions.json'), 'utf8'));
  const needed = new Set(of.flatMap(mode => actionsOf(mode, permissions)));
  expect([...needed].filter(action => !granted.has(action) && !(action === 'sts:AssumeRole' && name === 'Read'))).toEqual([]);
  // The preview of a pull request is promote as a dry run.
  const preview = name === 'Read' ? actionsOf('promote', permissions).filter(action => !WRITES_ANYTHING.test(action)) : [];
  // doctor, which reads what the modes read.
  const inspects = ['ec2:DescribeSnapshots', 'ec2:GetAllowedImagesSettings'];
  for (const action of ['iam:SimulatePrincipalPolicy', 'iam:GetRole', ...inspects]) granted.delete(action);
  expect([...granted].filter(action => !needed.has(action) && !preview.includes(action) && !action.startsWith('kms:'))).toEqual([]);
});

test.each(['delivery-role', 'environment-role'])('the module %s takes what its template takes', name => {
  const { Parameters } = parse(readFileSync(join(root, 'examples', `${name}.yml`), 'utf8'), { logLevel: 'error' }) as {
    Parameters: Readonly<Record<string, object>>;
  };
  const variables = readFileSync(join(root, 'examples', 'terraform', name, 'variables.tf'), 'utf8').matchAll(/^variable "(\w+)"/gm);
  // A stack has a name, and its resources have the repository in their tags where the template says so.
  const own = ['name', ...('Repository' in Parameters ? [] : ['repository'])];
  const snake = (key: string) => key.replace(/(?<=[a-z])[A-Z]/g, letter => `_${letter}`).toLowerCase();
  const taken = [...variables].map(([, variable = '']) => variable.replace('create_provider', 'provider'));
  expect(taken.filter(variable => !own.includes(variable)).sort()).toEqual(Object.keys(Parameters).map(snake).sort());
});

test('the docs have a step for every mode', () => {
  expect([...new Set(steps.map(step => String(step.with['mode'])))].sort()).toEqual(Object.keys(modes).sort());
});

test.each(
  docs.flatMap(file =>
    blocksOf(file, 'yaml')
      .filter(block => !/^(- |on:)/.test(block))
      .map(block => [file, block] as const),
  ),
)('a settings file in %s is understood by every mode, for each of its environments', (_, content) => {
  const { top, environments, problems } = parseConfigFile('ami.yml', content);
  expect([problems, top.values['family'] === undefined]).toEqual([[], false]);
  const given = { image: 'latest', region: 'eu-central-1', 'keep-newest': '5', images: 'web-*', checks: '[disk]', architecture: 'arm64' };
  for (const [mode, { settings }] of Object.entries(modes)) {
    const own = Object.fromEntries(Object.entries(given).filter(([name]) => Object.keys(settings).map(kebab).includes(name)));
    for (const environment of [...Object.keys(environments), ...(Object.hasOwn(settings, 'environment') ? [] : [undefined])])
      expect([
        mode,
        understood(mode, content, environment, {
          ...own,
          ...(environment === undefined || !Object.hasOwn(settings, 'environment') ? {} : { environment }),
        }),
      ]).toEqual([mode, []]);
  }
});

test('the README is read in the first minutes: at most 150 lines and 1,500 words', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  expect(readme.split('\n').length - 1).toBeLessThanOrEqual(150);
  expect(readme.split(/\s+/).length).toBeLessThanOrEqual(1500);
});

/** Heading of docs/troubleshooting.md -> the file and the title of a test that provokes a message with it. */
const PROVOKED: Readonly<Record<string, readonly [file: string, title: string]>> = {
  'does not exist in the workspace': ['dist/mistakes', 'no checkout'],
  'is not read: rename it': ['dist/mistakes', 'ami.yaml'],
  'lacks a colon': ['dist/mistakes', 'a line without a colon'],
  'is read under "with:" only': ['dist/mistakes', 'a guard in the file'],
  'is a secret, and this file is committed': ['dist/mistakes', 'a secret in the file'],
  'did you mean': ['dist/mistakes', 'a branch as an image'],
  'the job has no OIDC token': ['dist/credentials', 'scenario 82: the job lacks "id-token: write": the error names the permission'],
  'does not exist, or its trust policy': ['dist/credentials', 'a trust policy of the other form'],
  'belong to account': ['dist/mistakes', 'the wrong account'],
  'Timeout waiting for SSH': ['image-build/packer-phase', 'a source that Packer cannot log in to'],
  'InvalidAMIName.Duplicate': ['dist/build-twice', 'the second leaves the %s image of the first alone'],
  vCPU: ['dist/validate-strange', 'over the quota is not called a lack of capacity'],
  'has not registered': ['dist/validate-agent', 'scenario 26: an agent that never registers fails at its deadline'],
  'has no default VPC': ['dist/validate', 'VPCIdNotSpecified'],
  'No capacity for a test instance': ['dist/validate', 'scenario 23: without any capacity it fails clearly'],
  'checks failed': ['dist/validate', 'a failed check fails the image'],
  'has no image in': ['dist/mistakes', 'a region without images'],
  'matches no image of': ['dist/mistakes', 'a commit without an image'],
  'share it with this account and region': ['dist/resolve', 'that is not here yet is no reason for the base image'],
  'never validated': ['dist/promote', 'scenario 43: an image that did not pass'],
  'is vetoed there': ['dist/rollback', 'the next push does not bring back what was rolled back'],
  'accepts no command yet': ['rollout/instance-checks', 'an instance that Systems Manager does not manage'],
  'another process': ['dist/promote', 'scenario 41: moved by another process in the same moment'],
  'launch configuration': ['dist/roll-configurations', 'is refused by default, and the refusal shows the conversion'],
  'Families there': ['dist/prune-refused', "family: 'wbe'"],
};

test('every heading of the troubleshooting page is a part of a message that a test provokes', () => {
  const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8');
  expect([...page.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)).toEqual(Object.keys(PROVOKED));
  const missing = Object.entries(PROVOKED).filter(([heading, [file, title]]) => {
    const text = readFileSync(join(root, '__tests__', `${file}.test.ts`), 'utf8');
    const start = text.indexOf(title);
    // Up to the next test, or the next row of a table.
    const own = text
      .slice(start < 0 ? text.length : start)
      .split(/\n *(?:test(?:\.each)?\(|\],?\n)/)[0]
      ?.replaceAll('\\', '');
    return own?.includes(heading) !== true;
  });
  expect(missing).toEqual([]);
});

test('one constant is the address of the action, everywhere', () => {
  const url = new URL('..', import.meta.url);
  const all = placesOfRepository(url).map(path => readFileSync(new URL(path, url), 'utf8'));
  expect(all.filter(content => content.includes(REPOSITORY)).length).toBeGreaterThan(20);
  expect(all.filter(content => withRepository(content) !== content)).toEqual([]);
  expect(
    withRepository(
      '- uses: other/ami-action/promote@v1\n@other/ami-action-maintainers\nhttps://github.com/other/ami-action#x\n~/.cache/ami-action/',
    ),
  ).toBe(`- uses: ${REPOSITORY}/promote@v1\n@${REPOSITORY}-maintainers\nhttps://github.com/${REPOSITORY}#x\n~/.cache/ami-action/`);
});

test.each(docs)('the shell commands of %s are shell', file => {
  for (const block of blocksOf(file, 'sh')) execFileSync('bash', ['-n'], { input: block });
});

test.each(docs)('the JSON of %s is JSON', file => {
  for (const block of blocksOf(file, 'json')) expect(typeof JSON.parse(block)).toBe('object');
});

// SECURITY.md, "What a branch can change".
test('what a branch must not decide is read under "with:" only', () => {
  const guards = Object.entries(allSettings()).flatMap(([key, { withOnly }]) => (withOnly ? [kebab(key)] : []));
  expect(guards.sort()).toEqual([
    ...['adopt-groups', 'allow-instance-role', 'allow-public', 'allowed-account-ids', 'allowed-refs', 'comment', 'commit-tag', 'disable'],
    ...['dry-run', 'emergency', 'freeze', 'github-token', 'lift-veto', 'packer-mirror', 'packer-sha256', 'pin', 'plan-hash', 'prepare'],
    ...['release', 'require-attestation', 'require-checks', 'retire-family', 'secret-var', 'soak-environment', 'soak-time', 'tag-prefix'],
    ...['unshare', 'verdict-key', 'windows'],
  ]);
});

test('the README takes the templates of the roles from a release, not by a tag that moves', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const addresses = blocksOf('README.md', 'sh').flatMap(block => [...block.matchAll(/githubusercontent\.com\/\S+?\/ami-action\/([^/]+)/g)]);
  expect(addresses.map(([, tag]) => tag)).toEqual([`v${version}`]);
});

test('a setting has one meaning in all modes, and its file schema is there', () => {
  const schema = JSON.parse(readFileSync(join(root, 'ami.schema.json'), 'utf8')) as { properties: Record<string, { description: string }> };
  for (const { settings } of Object.values(modes)) {
    for (const [key, setting] of Object.entries(settings)) {
      if (!setting.withOnly) expect(schema.properties[kebab(key)]?.description).toBe(setting.doc.replace(/`/g, ''));
    }
  }
});
