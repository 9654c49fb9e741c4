import { matchesGlob } from '../../kit/glob.ts';
import { resolve, type TemplateModel, type TemplateSource, templateModel, variableOf } from './template-sources.ts';
import type { DeclaredVariable, VariableValues } from './variable-values.ts';

/** What a template decides itself, read from its text: which of its variables are ours, where it builds, and with which credentials. */

/** Variables of the action, by the attribute of a source that they are for. Maps of tags have no other names: ours would replace the template's. */
const ATTRIBUTES = ['ami_name', 'source_ami', 'region', 'instance_type', 'ami_regions'] as const;
type OwnVariable = (typeof ATTRIBUTES)[number];

export interface TemplateFacts {
  /** The name that the template has for a variable of the action: `aws_region` for `region`. */
  readonly names: Readonly<Partial<Record<OwnVariable, string>>>;
  /** Where it builds and copies to, home first; undefined where only Packer can tell. */
  readonly regions: readonly string[] | undefined;
  /** Why: which variable or attribute, where it is not the action's settings. */
  readonly regionsFrom: string | undefined;
  /** Credentials that its sources use instead of the action's. */
  readonly credentials: readonly Credential[];
  /** How the sources share their images before they are validated. */
  readonly sharing: readonly string[];
  /** Sources whose build instance any address may reach by SSH: Packer's default. */
  readonly openToAll: readonly string[];
  /** Sources that leave it to the base image and the account whether the image is encrypted. */
  readonly encryptedByChance: readonly string[];
  /** Owners of the base images, where the template names them. */
  readonly baseOwners: readonly string[];
  /** Sources that would give their images the same name in one region, which AWS refuses after the whole build. */
  readonly sameName: readonly string[];
  readonly selected: readonly TemplateSource[];
  /** Names of those that launch a spot instance. */
  readonly spot: readonly string[];
  /** The builder of legacy JSON, if it has one only and no post-processor. */
  readonly soleBuilder: string | undefined;
}

export interface Credential {
  readonly source: string;
  readonly kind: 'assume_role' | 'profile' | 'access_key';
  /** The role's ARN or the profile; undefined where only Packer can tell. */
  readonly value: string | undefined;
}

export interface FactOptions {
  readonly region: string;
  readonly regions: readonly string[];
  readonly only: readonly string[];
  readonly except: readonly string[];
}

/** `values`: of all variables; `overrides`: of those that the user sets, which win over the action's. */
export function templateFacts(
  texts: readonly string[],
  variables: readonly Pick<DeclaredVariable, 'name' | 'isOptional'>[],
  { values, overrides }: { values: VariableValues; overrides: VariableValues },
  options: FactOptions,
): TemplateFacts {
  const model = templateModel(texts);
  const selected = selectSources(model.sources, options);
  const declared = new Set(variables.map(({ name }) => name));
  const names = Object.fromEntries(ATTRIBUTES.flatMap(name => ownName(name, selected, declared, model) ?? []));
  const known = { ...values, ...givenRegions(names, variables, options), ...overrides };
  return {
    names,
    ...regionsOf(selected, known, model, options.region),
    credentials: selected.flatMap(source => credentialsOf(source, known, model)),
    sharing: selected.flatMap(source => sharingOf(source, known, model)),
    openToAll: selected.filter(source => isOpen(source, known, model)).map(({ name }) => name),
    encryptedByChance: selected.filter(({ attributes }) => !ENCRYPTION.some(name => attributes.has(name))).map(({ name }) => name),
    baseOwners: selected.flatMap(({ attributes }) => resolve(attributes.get('source_ami_filter.owners'), known, model) ?? []),
    sameName: sameNamed(selected, known, model),
    selected,
    spot: selected.flatMap(({ name, attributes }) =>
      ['', '0', undefined].includes(resolve(attributes.get('spot_price'), known, model) as string | undefined) ? [] : [name],
    ),
    soleBuilder: texts.some(isSoleBuilder) ? selected[0]?.name : undefined,
  };
}

/** What the action sets. A list that the template requires is set although there are no copies. */
function givenRegions(
  { region: home, ami_regions: list }: TemplateFacts['names'],
  variables: readonly Pick<DeclaredVariable, 'name' | 'isOptional'>[],
  { region, regions }: FactOptions,
): VariableValues {
  const copies = regions.filter(other => other !== region);
  const isSet = copies.length > 0 || variables.some(({ name, isOptional }) => name === list && !isOptional);
  return {
    ...(home === undefined ? {} : { [home]: region }),
    ...(list === undefined || !isSet ? {} : { [list]: JSON.stringify(copies) }),
  };
}

/** Legacy JSON with one builder and no post-processor. */
function isSoleBuilder(text: string): boolean {
  try {
    const json = JSON.parse(text) as { builders?: unknown[]; 'post-processors'?: unknown[] };
    return json.builders?.length === 1 && (json['post-processors'] ?? []).length === 0;
  } catch {
    return false;
  }
}

function sameNamed(sources: readonly TemplateSource[], known: VariableValues, model: TemplateModel): readonly string[] {
  const key = ({ attributes }: TemplateSource): string | undefined => {
    const name = variableOf(attributes.get('ami_name'), model) ?? resolve(attributes.get('ami_name'), known, model);
    const region = resolve(attributes.get('region'), known, model);
    const isKnown = attributes.get('region') === undefined || typeof region === 'string';
    return name === undefined || !isKnown ? undefined : JSON.stringify([name, region]);
  };
  return sources
    .filter(one => key(one) !== undefined && sources.some(other => other !== one && key(other) === key(one)))
    .map(({ name }) => name);
}

/** Without a match all, since the name of a build may be in front. */
function selectSources(
  sources: readonly TemplateSource[],
  { only, except }: Pick<FactOptions, 'only' | 'except'>,
): readonly TemplateSource[] {
  const isNamed = (patterns: readonly string[], name: string) =>
    patterns.some(pattern => matchesGlob(pattern, name) || pattern.endsWith(`.${name}`));
  const chosen = sources.filter(({ name }) => (only.length === 0 || isNamed(only, name)) && !isNamed(except, name));
  return chosen.length === 0 ? sources : chosen;
}

function ownName(
  attribute: OwnVariable,
  sources: readonly TemplateSource[],
  declared: ReadonlySet<string>,
  model: TemplateModel,
): readonly (readonly [string, string])[] | undefined {
  if (declared.has(attribute)) return [[attribute, attribute]];
  const [first, ...others] = [...new Set(sources.map(({ attributes }) => variableOf(attributes.get(attribute), model)))];
  return first !== undefined && others.length === 0 && declared.has(first) ? [[attribute, first]] : undefined;
}

function regionsOf(
  sources: readonly TemplateSource[],
  known: VariableValues,
  model: TemplateModel,
  region: string,
): Pick<TemplateFacts, 'regions' | 'regionsFrom'> {
  const homes = sources.map(({ attributes }) => {
    const expression = attributes.get('region');
    const home = resolve(expression, known, model);
    return expression === undefined || home === '' ? region : home;
  });
  const copies = sources.map(({ attributes }) => {
    const expression = attributes.get('ami_regions');
    const list = resolve(expression, known, model);
    return expression === undefined || list === '' ? [] : typeof list === 'string' ? list.split(',') : list;
  });
  if (homes.some(home => typeof home !== 'string') || copies.includes(undefined)) return { regions: undefined, regionsFrom: undefined };
  const regions = [...new Set([...homes, ...copies].flat().filter(one => one !== undefined))];
  const variables = sources.flatMap(({ attributes }) =>
    ['region', 'ami_regions'].flatMap(name => variableOf(attributes.get(name), model) ?? (attributes.has(name) ? [name] : [])),
  );
  return { regions: regions.length === 0 ? [region] : regions, regionsFrom: [...new Set(variables)].join(' and ') || undefined };
}

function credentialsOf({ name, attributes }: TemplateSource, known: VariableValues, model: TemplateModel): readonly Credential[] {
  const of = (kind: Credential['kind'], attribute: string): readonly Credential[] => {
    const expression = attributes.get(attribute);
    if (expression === undefined || expression === '""') return [];
    const value = resolve(expression, known, model);
    if (value === '') return [];
    return [{ source: name, kind, value: typeof value === 'string' ? value : undefined }];
  };
  // Keys that are read from the environment are those of the action.
  const keys = of('access_key', 'access_key').filter(({ value }) => value !== undefined);
  return [...of('assume_role', 'assume_role.role_arn'), ...of('profile', 'profile'), ...keys];
}

const SHARED_WITH = ['ami_groups', 'ami_users', 'ami_org_arns', 'ami_ou_arns', 'snapshot_groups', 'snapshot_users'];

const sharingOf = ({ name, attributes }: TemplateSource, known: VariableValues, model: TemplateModel): readonly string[] =>
  SHARED_WITH.flatMap(attribute => {
    const value = resolve(attributes.get(attribute), known, model);
    return value === undefined || value.length === 0 ? [] : [`${attribute} = ${[value].flat().join(', ')} (${name})`];
  });

const ENCRYPTION = ['encrypt_boot', 'kms_key_id', 'launch_block_device_mappings.encrypted'];

const GROUPS = ['security_group_id', 'security_group_ids', 'security_group_filter{', 'temporary_security_group_source_public_ip'];
const ANYWHERE = ['0.0.0.0/0', '::/0'];

/** https://developer.hashicorp.com/packer/integrations/hashicorp/amazon/latest/components/builder/ebs#temporary_security_group_source_cidrs */
function isOpen({ type, attributes }: TemplateSource, known: VariableValues, model: TemplateModel): boolean {
  const value = (name: string) => resolve(attributes.get(name), known, model);
  const restricts = (name: string) => attributes.has(name) && !/^"?false"?$/.test(attributes.get(name) ?? '');
  if (type === 'amazon-chroot' || GROUPS.some(restricts)) return false;
  if (value('ssh_interface') === 'session_manager' || ['none', 'winrm'].includes(String(value('communicator')))) return false;
  const cidrs = value('temporary_security_group_source_cidrs');
  return attributes.has('temporary_security_group_source_cidrs') ? [cidrs ?? []].flat().some(cidr => ANYWHERE.includes(cidr)) : true;
}
