import { z } from 'zod';
import { kebab, type Setting } from '../src/kit/settings.ts';
import { CONFIG_FILE } from '../src/main.ts';
import type { AnyMode } from '../src/mode.ts';
import type { ReadyMade } from '../src/validation/rules/checks-ready.ts';

/** The texts that are generated from the modes' declarations. */

type Modes = Readonly<Record<string, AnyMode>>;

/** How many settings a mode shows first; each further one names the user who needs it. */
const FIRST = 12;

interface Declared {
  readonly name: string;
  readonly setting: Setting<unknown>;
  readonly modes: readonly string[];
}

/** One key has one meaning in all modes, so it has one text. */
function everySetting(modes: Modes): Declared[] {
  const all = new Map<string, Declared>();
  for (const [mode, { settings }] of Object.entries(modes)) {
    for (const [key, setting] of Object.entries(settings)) {
      const name = kebab(key);
      const known = all.get(name);
      if (known !== undefined && known.setting.doc !== setting.doc)
        throw new Error(`"${name}" means one thing in ${known.modes[0]} and another in ${mode}`);
      all.set(name, { name, setting, modes: [...(known?.modes ?? []), mode] });
    }
  }
  return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const plain = (markdown: string) => markdown.replace(/`/g, '');

/** The values of a setting that has a closed list of them; empty for any other. */
function allowedValues(setting: Setting<unknown>): readonly string[] {
  const { enum: values } = z.toJSONSchema(setting.schema(), { io: 'input', unrepresentable: 'any' }) as { enum?: readonly unknown[] };
  return (values ?? []).map(String);
}

/** The description of an input: its meaning, its allowed values and its default. Not a `default:`, which would beat the file. */
export function inputDescription(setting: Setting<unknown>): string {
  const values = allowedValues(setting);
  const { fallback, required, fallbackFrom } = setting;
  return [
    plain(setting.doc),
    ...(values.length === 0 ? [] : [`Allowed: ${values.join(', ')}.`]),
    ...(fallback === undefined || ['', '{}'].includes(fallback) || setting.doc.includes('Default:') ? [] : [`Default: ${fallback}.`]),
    ...(required && fallbackFrom === undefined ? ['Required.'] : []),
    ...(setting.withOnly ? ['Under "with:" only.'] : []),
  ].join(' ');
}

export function actionYaml(modes: Modes): string {
  const names = Object.keys(modes);
  const input = (name: string, description: string, required = false) => [
    `  ${name}:`,
    `    description: ${JSON.stringify(description)}`,
    `    required: ${required}`,
  ];
  const outputs = new Map(
    Object.values(modes).flatMap(mode => Object.entries(mode.outputs).map(([key, doc]) => [kebab(key), doc] as const)),
  );
  return [
    // No defaults here: the runner passes them as if the user had set them, and the file could never win.
    'inputs:',
    ...input('mode', `What to do: ${names.join(', ')}.`, true),
    ...input('config', `File with settings, in the repository. Default: ${CONFIG_FILE}.`),
    ...everySetting(modes).flatMap(({ name, setting, modes: of }) =>
      input(name, `${inputDescription(setting)} (${of.length === names.length ? 'every mode' : of.join(', ')})`),
    ),
    'outputs:',
    ...[['outcome', OUTCOME] as const, ...[...outputs].sort()].flatMap(([name, doc]) => [
      `  ${name}:`,
      `    description: ${JSON.stringify(plain(doc))}`,
    ]),
  ].join('\n');
}

export const OUTCOME = 'How the run ended: done, unchanged, planned, usage, access, rejected, timeout, cancelled, unknown or bug.';

const cell = (text: string) => text.replace(/\|/g, '\\|').replace(/\s*\n\s*/g, ' ');

const byDefault = ({ required, fallback, fallbackFrom }: Setting<unknown>): string => {
  if (fallbackFrom !== undefined) return `the environment's \`${fallbackFrom}\``;
  if (required) return '_required_';
  return fallback === undefined || ['', '{}'].includes(fallback) ? '' : `\`${cell(fallback)}\``;
};

const row = (name: string, setting: Setting<unknown>) => {
  const needed = setting.neededBy === undefined ? '' : ` _For ${cell(setting.neededBy)}._`;
  const values = allowedValues(setting).filter(value => !setting.doc.includes(`\`${value}\``));
  const allowed = values.length === 0 ? '' : ` Allowed: \`${values.join('`, `')}\`.`;
  return `| \`${name}\` | ${byDefault(setting)} | ${cell(setting.doc)}${allowed}${setting.withOnly ? ' Under `with:` only.' : ''}${needed} |`;
};

type Named = readonly (readonly [name: string, setting: Setting<unknown>])[];

const settingTable = (rows: Named): string =>
  ['| Setting | Default | Meaning |', '| --- | --- | --- |', ...rows.map(([name, setting]) => row(name, setting))].join('\n');

/** Settings and outputs of one mode, for its reference page. */
export function tables(mode: AnyMode): string {
  const { settings, outputs } = mode;
  const all = Object.entries(settings).map(([key, setting]) => [kebab(key), setting] as const);
  const first = all.filter(([, setting]) => setting.neededBy === undefined);
  const further = all.filter(([, setting]) => setting.neededBy !== undefined);
  if (first.length > FIRST)
    throw new Error(
      `${first.length} settings are shown first, at most ${FIRST} may be: name who needs ${first.slice(FIRST).map(([name]) => name)}`,
    );
  const more = further.length === 0 ? [] : [`### More settings\n\n${settingTable(further)}`];
  const out = [
    '| Output | Meaning |',
    '| --- | --- |',
    `| \`outcome\` | ${cell(OUTCOME)} |`,
    ...Object.entries(outputs).map(([key, doc]) => `| \`${kebab(key)}\` | ${cell(doc)} |`),
  ].join('\n');
  return ['### Settings', settingTable(first), ...more, '### Outputs', out].join('\n\n');
}

/** The ready-made checks, for the reference page of validate. */
export const checkTable = (ready: Readonly<Record<string, ReadyMade>>): string =>
  [
    '| Check | Passes when | Keys |',
    '| --- | --- | --- |',
    ...Object.entries(ready).map(([name, { doc, keys }]) => `| \`${name}\` | ${cell(doc)} | ${keys.map(key => `\`${key}\``).join(' ')} |`),
  ].join('\n');

/** JSON Schema of the repository's file: editors complete and check it. */
export function schema(modes: Modes): object {
  const properties = Object.fromEntries(
    everySetting(modes)
      .filter(({ setting }) => !setting.withOnly)
      .map(({ name, setting }) => [name, { description: plain(setting.doc), ...inFile(setting) }]),
  );
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `Settings of ami-action (${CONFIG_FILE})`,
    type: 'object',
    additionalProperties: false,
    properties: {
      ...properties,
      environments: {
        description: 'Settings of one environment; they win over the top of the file.',
        type: 'object',
        additionalProperties: { type: 'object', additionalProperties: false, properties },
      },
      'by-mode': {
        description: 'Settings of one mode, such as a role of its own; they win over the top of the file.',
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(Object.keys(modes).map(name => [name, { type: 'object', additionalProperties: false, properties }])),
      },
    },
  };
}

function inFile(setting: Setting<unknown>): object {
  const { $schema: _, ...rest } = z.toJSONSchema(setting.schema(), { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  return setting.fallback === undefined ? rest : { ...rest, default: setting.fallback };
}

interface Dependent {
  readonly modes: readonly string[];
  readonly actions: readonly string[];
  /** The AWS document that requires them. */
  readonly document: string;
}

/** What AWS requires of a caller in addition to the calls that are seen: a call that needs further rights, a plugin that calls by settings. */
export const DEPENDENT: readonly Dependent[] = [
  {
    modes: ['build', 'validate', 'promote', 'rollback'],
    actions: ['ec2:CreateTags'],
    document: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html',
  },
  {
    modes: ['build'],
    // The plugin reads them when the template sets subnet_id, or associate_public_ip_address.
    actions: ['ec2:DescribeInstanceTypeOfferings', 'ec2:DescribeSubnets', 'ec2:DescribeVpcs'],
    document: 'https://developer.hashicorp.com/packer/integrations/hashicorp/amazon/latest#iam-task-or-instance-role',
  },
  {
    modes: ['delete', 'prune', 'validate'],
    actions: [
      'ec2:DescribeInstances',
      'ec2:DescribeLaunchTemplateVersions',
      'ec2:DescribeLaunchTemplates',
      'imagebuilder:GetContainerRecipe',
      'imagebuilder:ListContainerRecipes',
      'imagebuilder:ListImageRecipes',
      'ssm:DescribeParameters',
      'ssm:GetParameters',
    ],
    document: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html',
  },
  {
    modes: ['validate', 'promote', 'rollback'],
    actions: ['iam:PassRole'],
    document: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html#permission-to-pass-iam-roles',
  },
  {
    modes: ['promote', 'rollback'],
    actions: ['ec2:RunInstances'],
    document: 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html',
  },
  {
    modes: ['promote', 'rollback'],
    actions: ['ssm:GetParameters'],
    document: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameters.html',
  },
  {
    modes: ['promote', 'rollback'],
    actions: ['ec2:DescribeImages'],
    document: 'https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html',
  },
];

type Permissions = Readonly<Record<string, readonly string[]>>;

/** With these rights on every role a principal can become any of them: they are granted for roles by name. */
const BY_NAME = ['iam:PassRole', 'sts:AssumeRole'];

/** Everything that a mode needs: its calls (permissions.json), and what AWS requires for them. */
export function actionsOf(mode: string, permissions: Permissions): readonly string[] {
  const calls = permissions[mode];
  if (calls === undefined) throw new Error(`permissions.json has no list for ${mode}: run "npm run permissions"`);
  const dependent = DEPENDENT.flatMap(({ modes, actions }) => (modes.includes(mode) ? actions : []));
  return [...new Set([...calls, ...dependent])].sort();
}

// To be replaced by the roles of the groups, or of test instances. https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-api-permissions.html
const PASS_ROLE = {
  Effect: 'Allow',
  Action: 'iam:PassRole',
  Resource: 'arn:aws:iam::111122223333:role/ROLE-OF-THE-INSTANCES',
  Condition: { StringLike: { 'iam:PassedToService': ['autoscaling.amazonaws.com', 'ec2.amazonaws.com*'] } },
};

const NO_WRITES = /:(Describe|Get|List|Lookup|Assume|Generate|Verify|Simulate)/;

/** The actions of each mode that change something, for doctor: a dry run proves the reads. Formatted as the linter asks. */
export function writesSource(permissions: Readonly<Record<string, readonly string[]>>): string {
  const entries = Object.entries(permissions).flatMap(([mode, actions]) => {
    const writes = actions.filter(action => !NO_WRITES.test(action)).map(action => `'${action}'`);
    if (writes.length === 0) return [];
    const line = `  ${mode}: [${writes.join(', ')}],`;
    return line.length <= 140 ? [line] : [`  ${mode}: [`, ...writes.map(action => `    ${action},`), '  ],'];
  });
  const doc = '/** Generated by `npm run contract` from permissions.json: the actions of each mode that change something. */';
  return `${[doc, 'export const WRITES: Readonly<Record<string, readonly string[]>> = {', ...entries, '};'].join('\n')}\n`;
}

/** The IAM policy of a mode. */
export function policy(mode: string, permissions: Permissions): object {
  const all = actionsOf(mode, permissions);
  const Action = all.filter(action => !BY_NAME.includes(action));
  const Statement = [{ Effect: 'Allow', Action, Resource: '*' }, ...(all.includes('iam:PassRole') ? [PASS_ROLE] : [])];
  return { Version: '2012-10-17', Statement };
}

// Templates of stacks may hold anything, so the roles name the stacks that they may read.
const READS = /^(?!cloudformation:)\w+:(Describe|Get|List|Lookup)/;

/** Which actions a block of a role in examples/ lists: what reads, with or without parameters, or what changes groups. */
export const BLOCKS = {
  reads: (action: string) => READS.test(action),
  'reads but parameters': (action: string) => READS.test(action) && !action.startsWith('ssm:GetParameter'),
  groups: (action: string) => action.startsWith('autoscaling:') && !READS.test(action) && !action.endsWith('LaunchConfiguration'),
} as const;

export function roleLines(
  modes: readonly string[],
  permissions: Permissions,
  block: keyof typeof BLOCKS,
  line: (action: string) => string,
): string {
  const all = new Set(modes.flatMap(mode => actionsOf(mode, permissions)));
  const lines = [...all].filter(BLOCKS[block]).sort();
  return lines.map(line).join('\n');
}
