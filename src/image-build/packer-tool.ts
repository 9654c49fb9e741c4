import { UsageError } from '../kit/errors.ts';
import { list, map, optional, text } from '../kit/fields.ts';
import type { Tags } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { PackerBuild, PackerTool } from '../ports/packer.ts';
import { type BuildPlan, recognisableTags } from './plan.ts';
import type { Inputs } from './reuse.ts';
import { removesFirst } from './rules/template-text.ts';

/** Which Packer runs, and what it is asked. */

export const packerSettings = {
  only: list('Build only these sources of the template.', { fallback: '', neededBy: 'templates with several sources' }),
  except: list('Build all sources but these.', { fallback: '', neededBy: 'templates with several sources' }),
  secretVar: map('Variables that nobody may see: they travel in a file for this user alone, and are masked everywhere.', {
    fallback: '{}',
    withOnly: true,
    neededBy: 'templates that need a token',
  }),
  packerVersion: text('Version of Packer, or a range as npm writes them.', {
    fallback: '>=1.11.0',
    pattern: /^[\d.x*<>=~^ |-]+$/,
    message: 'must be a version or a range, such as 1.16.0 or >=1.14.0',
    neededBy: 'teams that pin their tools',
  }),
  packerSha256: optional(
    text("SHA-256 of the vendor's archive, for a version that the action does not know.", {
      pattern: /^[0-9a-f]{64}$/,
      message: 'must be 64 hexadecimal digits',
      neededBy: 'teams whose Packer is newer than their ami-action',
    }),
  ),
  packerMirror: text('Where the archive comes from, if Packer is not on PATH.', {
    fallback: 'https://releases.hashicorp.com',
    pattern: /^https?:\/\/[^\s/]\S*$/,
    message: 'must be an address such as https://mirror.example.com/hashicorp',
    neededBy: 'runners that reach the internet through a mirror',
  }),
};

export interface PackerChoice {
  readonly only: readonly string[];
  readonly except: readonly string[];
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
  readonly packerVersion: string;
  readonly packerSha256?: string | undefined;
  readonly packerMirror: string;
  readonly instanceType?: string | undefined;
  readonly region: string;
  readonly timeout: number;
}

type NeededDeps = Deps<'account', 'packer'>;

export async function findPacker(wanted: PackerChoice, { packer, report }: NeededDeps): Promise<PackerTool> {
  const tool = await packer.ensure({ version: wanted.packerVersion, sha256: wanted.packerSha256, mirror: wanted.packerMirror });
  const origin = { path: 'from PATH', archive: "from the vendor's archive, hash checked", source: 'built from source' }[tool.from];
  report.info(`Packer ${tool.version}, ${origin}: ${tool.binary}`);
  return tool;
}

/** What Packer is asked: the template gets of our variables those that it declares, and nothing else. */
export async function packerOrder(
  wanted: PackerChoice,
  { plan, template }: Pick<Inputs, 'plan' | 'template'>,
  tool: PackerTool,
  { inRegion, packer, report }: NeededDeps,
): Promise<PackerBuild> {
  const { variables: declared, soleSource, isSingle, isJson } = await packer.inspect(tool.binary, plan.template);
  const isOne = soleSource !== undefined && wanted.only.length === 0 && wanted.except.length === 0;
  const recognisable = isOne ? recognisableTags(plan, soleSource) : plan.earlyTags;
  const seen = Object.entries(wanted.var).filter(([name]) => declared.get(name) === 'sensitive' || name in template.secrets);
  for (const [, value] of seen) report.mask(value);
  if (seen.length > 0) report.warn(sayOpen(seen.map(([name]) => name)));
  const ours = oursOf(wanted, plan, isJson ? 'texts' : recognisable);
  const ignored = Object.entries(NEEDED_BY).filter(([name]) => ours[name as keyof typeof ours] !== undefined && !declared.has(name));
  if (ignored.length > 0)
    throw new UsageError(
      ignored.map(([name, setting]) => `"${setting}" is set, and the template declares no variable "${name}" that could take it`),
    );
  const given = Object.entries(ours).filter(([name, value]) => value !== undefined && declared.has(name));
  report.info(
    given.length === 0 ? 'The template declares none of our variables.' : `The template takes ${given.map(([name]) => name).join(', ')}.`,
  );
  if (isJson || !declared.has('run_tags')) report.warn(isJson ? `${UNSWEPT} ${NO_MAP}` : `${UNSWEPT} ${DECLARE}`);
  if (template.texts.some(removesFirst)) report.warn(REMOVES_FIRST);
  return {
    binary: tool.binary,
    template: plan.template,
    given: Object.fromEntries(given),
    variables: wanted.var,
    varFiles: plan.varFiles,
    secrets: wanted.secretVar,
    hidden: [...Object.values(template.secrets), ...seen.map(([, value]) => value)],
    only: wanted.only,
    except: wanted.except,
    // For templates that say no region themselves.
    environment: {
      AWS_REGION: wanted.region,
      AWS_DEFAULT_REGION: wanted.region,
      ...(await inRegion({ region: wanted.region }).account.environment()),
    },
    atMostSeconds: wanted.timeout,
    isSingle,
  };
}

/** `texts`: of a JSON template the variables hold nothing else; it makes a list of one with commas, and no map of any. */
function oursOf({ region, instanceType }: PackerChoice, { name, base, regions, runTags }: BuildPlan, tags: Tags | 'texts') {
  const copies = regions.length > 1 ? regions.slice(1) : undefined;
  return {
    ami_name: name,
    source_ami: base,
    region,
    instance_type: instanceType,
    ...(tags === 'texts' ? { ami_regions: copies?.join(',') } : { ami_tags: plain(tags), run_tags: plain(runTags), ami_regions: copies }),
  };
}

// Packer reads tags as templates, with functions that fetch secrets, and again until nothing is left to read: so there is no way to quote, and a branch
// may be called anything. What looks so is written by us alone, at the end. https://developer.hashicorp.com/packer/docs/templates/legacy_json_templates/engine
const plain = (tags: Tags): Tags => Object.fromEntries(Object.entries(tags).filter(pair => !pair.some(text => text.includes('{{'))));

/** Settings that would silently do nothing. */
const NEEDED_BY = { source_ami: 'base-image', instance_type: 'instance-type', ami_regions: 'regions' } as const;

const sayOpen = (names: readonly string[]): string =>
  `The template calls ${names.join(', ')} sensitive. Say it under "secret-var": "var" becomes arguments of Packer, which everybody on the machine can see.`;

const UNSWEPT =
  'The template declares no variable "run_tags". If this job dies, the instance, key pair and security group that Packer made cannot be told from others, and stay.';
const DECLARE = 'Declare it as map(string) and use it as run_tags of the source.';
const NO_MAP = 'A JSON template has no variable for a map: "packer hcl2_upgrade" makes an HCL template of it.';

const REMOVES_FIRST =
  'The template sets force_deregister or force_delete_snapshot: Packer removes the old image of that name before the new one exists, let alone is proven. Take it out; mode prune removes what nobody needs any more.';
