import { UsageError } from '../kit/errors.ts';
import type { Deps } from '../ports/deps.ts';
import type { BuildPlan } from './plan.ts';
import { corruptsOutput } from './rules/packer-output.ts';
import { sensitiveNames } from './rules/template-text.ts';

/** What is read of the template before anybody asks for Packer. */
export interface Template {
  readonly texts: readonly string[];
  /** "secret-var", and of "var" and PKR_VAR_... what the template calls sensitive: nobody is to see it, and no plain hash of it. */
  readonly secrets: Readonly<Record<string, string>>;
}

interface Variables {
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
}

export async function readTemplate(
  { template, regions }: BuildPlan,
  { var: plain, secretVar }: Variables,
  { packer, report }: Deps<never, 'packer'>,
): Promise<Template> {
  const texts = await packer.texts(template);
  const names = new Set(texts.flatMap(sensitiveNames));
  const ofTheStep = Object.entries(packer.ambient([])).map(([name, value]) => [name.replace(/^PKR_VAR_/, ''), value] as const);
  const sensitive = Object.entries({ ...Object.fromEntries(ofTheStep), ...plain, ...secretVar }).filter(([name]) => names.has(name));
  const secrets = { ...Object.fromEntries(sensitive), ...secretVar };
  for (const secret of Object.values(secrets)) report.mask(secret);
  const spoiling = sensitive.filter(([, value]) => corruptsOutput(value, regions));
  if (spoiling.length > 0) throw new UsageError(spoiling.map(([name]) => sayShort(name)));
  const masking = Object.entries(secretVar).filter(([, value]) => corruptsOutput(value, regions));
  if (masking.length > 0) report.warn(sayMasking(masking.map(([name]) => name)));
  return { texts, secrets };
}

// https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/JobExtension.cs
const sayMasking = (names: readonly string[]): string =>
  `"secret-var" holds a value so short, or so common, that the runner masks it in the IDs of images too: ${names.join(', ')}. It drops an output in which it masks something before another job gets it. Take a longer value, or say it under "var".`;

const sayShort = (name: string): string =>
  `The template calls ${name} sensitive, and its value is so short, or so common, that Packer would hide half of what it says, the IDs of images too. Take a longer value, or "sensitive" out of the template`;
