import { UsageError } from '../kit/errors.ts';
import { type Tags, tagKey } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { PackerBuild, PackerTool } from '../ports/packer.ts';
import { type BuildPlan, recognisableTags } from './plan.ts';
import type { Template } from './read-template.ts';
import type { Inputs } from './reuse.ts';
import { addTags, takesRunTags } from './rules/template-tags.ts';
import { type BuildOptions, DEFAULT_NAME } from './settings.ts';

/** Which Packer runs, and with what. */

export interface PlannedBuild extends PackerBuild {
  /** Tags identify everything temporary. */
  readonly isSwept: boolean;
  /** A finished image that could not be tagged is adopted by the next run with the same inputs. */
  readonly isAdoptable: boolean;
}

type PackerDeps = Deps<'account' | 'images', 'packer'>;

const ORIGIN = { path: 'from PATH', archive: "from the vendor's archive, hash verified" };

export async function findPacker(options: BuildOptions, { packer, report }: PackerDeps): Promise<PackerTool> {
  const tool = await packer.ensure({ version: options.packerVersion, sha256: options.packerSha256, mirror: options.packerMirror });
  report.info(`Packer ${tool.version}, ${ORIGIN[tool.from]}: ${tool.binary}`);
  return tool;
}

/** Whether the image gets the name of the action; else the template names it. */
export const namesImage = ({ facts, overrides }: Pick<Template, 'facts' | 'overrides'>): boolean =>
  facts.names.ami_name !== undefined && !(facts.names.ami_name in overrides);

/** The Packer command. Of the action's variables the template gets those that it declares. @throws UsageError for a setting that would have no effect. */
export async function planPackerBuild(
  { options, plan, template }: Pick<Inputs, 'options' | 'plan' | 'template'>,
  tool: PackerTool,
  { inRegion, packer, report }: PackerDeps,
): Promise<PlannedBuild> {
  const { variables: declared, soleSource, isJson } = await packer.inspect(tool.binary, plan.template);
  const sole = options.only.length > 0 || options.except.length > 0 ? undefined : (soleSource ?? template.facts.soleBuilder);
  const recognisable = sole === undefined ? plan.earlyTags : recognisableTags(plan, sole);
  const exposed = Object.entries(options.var).filter(([name]) => declared.get(name) === 'sensitive' || name in template.secrets);
  for (const [, value] of exposed) report.mask(value);
  if (exposed.length > 0) report.warn(exposedWarning(exposed.map(([name]) => name)));
  const aws = inRegion({ region: options.region, role: undefined });
  const base = plan.base !== undefined && declared.has('source_root_device') ? await aws.images.get(plan.base) : undefined;
  const offered = {
    ...offeredVariables({ options, plan, template }, isJson ? 'texts' : recognisable),
    source_root_device: base?.rootDevice,
  };
  const given = givenVariables(offered, { options, template }, new Set(declared.keys()));
  report.info(`Variables that ami-action sets: ${Object.keys(given).join(', ') || 'none, because the template declares none of them'}.`);
  const marks = markTemplate(template, { plan, given, imageTags: recognisable, folder: packer.folderOf(plan.template) });
  if (marks.lines !== '') report.info(`Added to a copy of the template, outside the repository: ${marks.lines}.`);
  if (!marks.isSwept) report.warn(NOT_SWEPT);
  return {
    ...{ edits: marks.edits, isSwept: marks.isSwept, isAdoptable: sole !== undefined && marks.isTagged },
    binary: tool.binary,
    template: plan.template,
    given,
    variables: options.var,
    varFiles: plan.varFiles,
    secrets: options.secretVar,
    hidden: [...Object.values(template.secrets), ...exposed.map(([, value]) => value)],
    only: options.only,
    except: options.except,
    workingDirectory: template.workingDirectory.path,
    // For templates that set no region.
    environment: {
      AWS_REGION: options.region,
      AWS_DEFAULT_REGION: options.region,
      ...(await aws.account.environment()),
    },
    atMostSeconds: options.timeout,
  };
}

/** Adds the tags that the template does not take from the action. */
function markTemplate(
  { files, facts: { selected, spot } }: Template,
  order: { plan: BuildPlan; given: Readonly<Record<string, unknown>>; imageTags: Tags; folder: string },
) {
  const { plan, given, imageTags, folder } = order;
  const options = { runTags: plain(plan.runTags), imageTags: plain(imageTags), given: new Set(Object.keys(given)), spot, folder };
  const { edits, added } = addTags(files, options);
  const of = selected.flatMap(({ name }) => (added[name] === undefined ? [] : [`${added[name].join(', ')} (${name})`]));
  return {
    edits,
    lines: of.join('; '),
    isSwept: selected.length === 0 ? 'run_tags' in given : selected.every(takesRunTags),
    isTagged: 'ami_tags' in given || selected.every(({ name }) => added[name]?.includes('tags')),
  };
}

/** Our variables under the names of the template: those that it declares and the user does not set. */
function givenVariables(
  variables: Readonly<Record<string, unknown>>,
  { options, template }: Pick<Inputs, 'options' | 'template'>,
  declared: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  const offered = Object.entries(variables).filter(([, value]) => value !== undefined);
  const names: Readonly<Record<string, string>> = template.facts.names;
  const named = (name: string) => names[name] ?? name;
  const needed: Readonly<Record<string, string>> = { ...NEEDED_BY, ...(options.name === DEFAULT_NAME ? {} : { ami_name: 'name' }) };
  const ignored = offered.filter(([name]) => name in needed && !declared.has(named(name)));
  if (ignored.length > 0)
    throw new UsageError(
      ignored.map(([name]) => `"${needed[name]}" is set, but the template does not declare the variable "${name}" that it needs`),
      { unchanged: true, next: ignored.map(([name]) => declare(name)).join(' ') },
    );
  const given = offered.map(([name, value]) => [named(name), value] as const);
  return Object.fromEntries(given.filter(([name]) => declared.has(name) && !(name in template.overrides)));
}

/** `texts`: variables of a JSON template are strings. It splits a list at commas, and has no maps. */
function offeredVariables(
  {
    options: { region, regions, instanceType, appPaths },
    plan: { name, base, runTags, tags: planned, scheme },
    template: { variables, facts },
  }: Pick<Inputs, 'options' | 'plan' | 'template'>,
  tags: Tags | 'texts',
) {
  const further = regions.filter(other => other !== region);
  const isRequired = variables.some(variable => variable.name === facts.names.ami_regions && !variable.isOptional);
  // A template may use the name for something else.
  const incremental = appPaths.length === 0 ? undefined : tagKey(scheme, 'built-on') in planned;
  const copies = further.length > 0 || isRequired ? further : undefined;
  return {
    ami_name: name,
    source_ami: base,
    region,
    instance_type: instanceType,
    incremental: tags === 'texts' ? incremental?.toString() : incremental,
    ...(tags === 'texts' ? { ami_regions: copies?.join(',') } : { ami_tags: plain(tags), run_tags: plain(runTags), ami_regions: copies }),
  };
}

// Packer evaluates tags as templates with functions that read secrets, and has no quoting. A tag that contains "{{" is written by the action
// after the build. https://developer.hashicorp.com/packer/docs/templates/legacy_json_templates/engine
const plain = (tags: Tags): Tags => Object.fromEntries(Object.entries(tags).filter(pair => !pair.some(text => text.includes('{{'))));

/** Settings that have no effect unless the template declares the variable. */
const NEEDED_BY = { source_ami: 'base-image', instance_type: 'instance-type', ami_regions: 'regions' } as const;

const exposedWarning = (names: readonly string[]): string =>
  `The template marks ${names.join(', ')} as sensitive. Set it under "secret-var": "var" becomes arguments of Packer, visible to every user of the machine.`;

const declare = (name: string): string =>
  name === 'ami_regions'
    ? 'Declare it: variable "ami_regions" { type = list(string) }, and set ami_regions = var.ami_regions in the source. Or remove "regions" from the build: mode "share" copies too.'
    : `Declare it: variable "${name}" { type = string }, and use var.${name} in the source. Or remove the setting.`;

const NOT_SWEPT =
  'Sources of the template take no run_tags. If this job is killed, what Packer created temporarily cannot be identified, and remains. Use amazon-ebs or amazon-ebssurrogate.';
