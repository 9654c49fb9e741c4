import { z } from 'zod';
import { kebab, type Setting } from '../src/kit/settings.ts';
import { type AnyMode, CONFIG_FILE } from '../src/main.ts';
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
    },
  };
}

function inFile(setting: Setting<unknown>): object {
  const { $schema: _, ...rest } = z.toJSONSchema(setting.schema(), { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  return setting.fallback === undefined ? rest : { ...rest, default: setting.fallback };
}

/**
 * EC2 describes what refers to an image with the rights of the caller, for every type that the action asks about.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html (Required IAM permissions)
 */
const IMAGE_REFERENCES = [
  'ec2:DescribeInstances',
  'ec2:DescribeLaunchTemplateVersions',
  'ec2:DescribeLaunchTemplates',
  'imagebuilder:GetContainerRecipe',
  'imagebuilder:ListContainerRecipes',
  'imagebuilder:ListImageRecipes',
  'ssm:DescribeParameters',
  'ssm:GetParameters',
];

/**
 * What AWS requires of a caller in addition to the call: a launch template needs the right to launch from it, a role for an instance the
 * right to pass it, a parameter in a template the right to read it.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-systems-manager-parameters.html
 */
const BESIDES: Readonly<Record<string, readonly string[]>> = {
  build: ['ec2:CreateTags'],
  delete: IMAGE_REFERENCES,
  prune: IMAGE_REFERENCES,
  validate: ['ec2:CreateTags', 'iam:PassRole', ...IMAGE_REFERENCES],
  promote: ['ec2:CreateTags', 'ec2:DescribeImages', 'ec2:RunInstances', 'iam:PassRole', 'ssm:GetParameters'],
  rollback: ['ec2:CreateTags', 'ec2:DescribeImages', 'ec2:RunInstances', 'iam:PassRole', 'ssm:GetParameters'],
};

type Permissions = Readonly<Record<string, readonly string[]>>;

/** With these rights on every role a principal can become any of them: they are granted for roles by name. */
const BY_NAME = ['iam:PassRole', 'sts:AssumeRole'];

function actionsOf(mode: string, permissions: Permissions): readonly string[] {
  const calls = permissions[mode];
  if (calls === undefined) throw new Error(`permissions.json has no list for ${mode}: run "npm run permissions"`);
  return [...new Set([...calls, ...(BESIDES[mode] ?? [])])].sort();
}

/** The IAM policy of a mode, from the calls that it makes (permissions.json). */
export function policy(mode: string, permissions: Permissions): object {
  const all = actionsOf(mode, permissions);
  const Action = all.filter(action => !BY_NAME.includes(action));
  const pass = {
    Effect: 'Allow',
    Action: 'iam:PassRole',
    Resource: '*',
    Condition: { StringLike: { 'iam:PassedToService': 'ec2.amazonaws.com*' } },
  };
  const Statement = [{ Effect: 'Allow', Action, Resource: '*' }, ...(all.includes('iam:PassRole') ? [pass] : [])];
  return { Version: '2012-10-17', Statement };
}

/** What all modes together call, as lines of examples/delivery-role.yml. */
export function everyAction(modes: Modes, permissions: Permissions): string {
  const all = new Set(Object.keys(modes).flatMap(mode => actionsOf(mode, permissions)));
  const lines = [...all].filter(action => !BY_NAME.includes(action)).sort();
  return lines.map(action => `${' '.repeat(18)}- ${action}`).join('\n');
}
