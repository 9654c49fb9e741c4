import { UsageError } from '../kit/errors.ts';
import type { Deps } from '../ports/deps.ts';
import type { BuildPlan } from './plan.ts';
import { corruptsOutput } from './rules/packer-output.ts';
import { sensitiveNames } from './rules/template-text.ts';
import type { BuildOptions } from './settings.ts';

/** What the files of a template say; no Packer is needed to read them. */
export interface Template {
  readonly texts: readonly string[];
  /** All of "secret-var", and values of "var" and PKR_VAR_... whose variable the template marks as sensitive. Never shown, and never hashed without salt. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** @throws UsageError where a sensitive value would make Packer hide the IDs of images. */
export async function readTemplate(
  { template, regions }: BuildPlan,
  { var: plain, secretVar }: Pick<BuildOptions, 'var' | 'secretVar'>,
  { packer, report }: Deps<never, 'packer'>,
): Promise<Template> {
  const texts = await packer.texts(template);
  const names = new Set(texts.flatMap(sensitiveNames));
  const ambient = Object.entries(packer.ambient([])).map(([name, value]) => [name.replace(/^PKR_VAR_/, ''), value] as const);
  const sensitive = Object.entries({ ...Object.fromEntries(ambient), ...plain, ...secretVar }).filter(([name]) => names.has(name));
  const secrets = { ...Object.fromEntries(sensitive), ...secretVar };
  for (const secret of Object.values(secrets)) report.mask(secret);
  const corrupting = sensitive.filter(([, value]) => corruptsOutput(value, regions));
  if (corrupting.length > 0) throw new UsageError(corrupting.map(([name]) => tooShort(name)));
  const masking = Object.entries(secretVar).filter(([, value]) => corruptsOutput(value, regions));
  if (masking.length > 0) report.warn(masksIds(masking.map(([name]) => name)));
  return { texts, secrets };
}

// https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/JobExtension.cs
const masksIds = (names: readonly string[]): string =>
  `"secret-var" contains values so short or common that the runner masks them in the IDs of images too: ${names.join(', ')}. The runner drops outputs that contain a masked text. Use a longer value, or "var".`;

const tooShort = (name: string): string =>
  `The template marks ${name} as sensitive, and its value is so short or common that Packer hides it in the IDs of images too. Use a longer value, or remove "sensitive" from the variable`;
