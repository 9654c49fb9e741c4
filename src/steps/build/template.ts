import { sensitiveNames } from '../../domain/build/template-text.ts';
import type { Powers } from '../../world.ts';

/** What is read of the template before anybody asks for Packer. */
export interface Template {
  /** None of one outside the workspace: that is not looked into. */
  readonly texts: readonly string[];
  /** "secret-var", and of "var" what the template calls sensitive: nobody is to see it, and no plain hash of it. */
  readonly secrets: Readonly<Record<string, string>>;
}

interface Variables {
  readonly var: Readonly<Record<string, string>>;
  readonly secretVar: Readonly<Record<string, string>>;
}

export async function readTemplate(
  path: string,
  { var: plain, secretVar }: Variables,
  { files, report }: Powers<never, 'files'>,
): Promise<Template> {
  const found = (await files.read(path).catch(() => undefined)) ?? [];
  const texts = found.filter(file => /\.(hcl|json)$/.test(file.path)).map(({ content }) => Buffer.from(content).toString());
  const sensitive = new Set(texts.flatMap(sensitiveNames));
  const secrets = { ...Object.fromEntries(Object.entries(plain).filter(([name]) => sensitive.has(name))), ...secretVar };
  for (const secret of Object.values(secrets)) report.mask(secret);
  return { texts, secrets };
}
