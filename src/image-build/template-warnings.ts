import type { Template } from './read-template.ts';
import { removesFirst } from './rules/template-text.ts';
import type { BuildOptions } from './settings.ts';

/** What a template does that its user may not expect, before anything is built. Each with the fix. */
export const templateWarnings = (template: Template, { region, regions, baseImage }: BuildOptions): readonly string[] => [
  ...warnings(template, [region, ...regions]),
  ...(template.facts.openToAll.length > 0
    ? [
        `Every address may reach the build instance by SSH (${template.facts.openToAll.join(', ')}). Set temporary_security_group_source_public_ip = true, temporary_security_group_source_cidrs, or ssh_interface = "session_manager".`,
      ]
    : []),
  ...(lacksAgent(template, baseImage) ? [NO_AGENT] : []),
];

const warnings = ({ texts, facts }: Template, settings: readonly string[]): readonly string[] => [
  ...regionWarnings(facts, settings),
  ...(texts.some(removesFirst) ? [REMOVES_FIRST] : []),
  ...(facts.sharing.length > 0
    ? [
        `The template shares its images before they are validated: ${facts.sharing.join('; ')}. Remove it, and use mode share after validate.`,
      ]
    : []),
];

const REMOVES_FIRST =
  'The template sets force_deregister or force_delete_snapshot: Packer removes the old image of that name before the new one exists. Remove the flag; mode prune removes unused images.';

function regionWarnings({ regions, regionsFrom }: Template['facts'], settings: readonly string[]): readonly string[] {
  if (regions === undefined || regionsFrom === undefined) return [];
  const others = regions.filter(region => !settings.includes(region));
  const unused = settings.filter(region => !regions.includes(region));
  if (others.length === 0 && unused.length === 0) return [];
  const not = unused.length === 0 ? '' : `, and not in ${unused.join(', ')}`;
  return [
    `The template sets its regions itself (${regionsFrom}): it builds in ${regions.join(', ')}${not}. Existing images are looked for there. Set "region" and "regions" to the same.`,
  ];
}

/** Debian, Red Hat, AlmaLinux, Rocky Linux, Fedora and CentOS, FreeBSD. https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html */
const WITHOUT_AGENT = new Set(['136693071363', '309956199498', '764336703387', '792107900819', '125523088429', '782442783595']);

const NO_AGENT =
  'The base image has no SSM Agent, and nothing in the template installs it: mode validate needs it. Install amazon-ssm-agent in a provisioner.';

function lacksAgent({ facts, installsAgent }: Template, baseImage: readonly string[] = []): boolean {
  const named = baseImage.flatMap(entry => /^name:(\d{12})\//.exec(entry)?.[1] ?? []);
  const owners = baseImage.length > 0 ? named : facts.baseOwners;
  return installsAgent === false && owners.length > 0 && owners.every(owner => WITHOUT_AGENT.has(owner));
}

/** Once it is known: the account may encrypt by default. */
export const encryptionWarning = (ids: readonly string[]): string =>
  `${ids.join(', ')} ${ids.length === 1 ? 'is' : 'are'} not encrypted, and the template does not say so. Set encrypt_boot = true, or false if it is meant.`;
