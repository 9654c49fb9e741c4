import { readdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

// https://developer.hashicorp.com/packer/docs/templates/hcl_templates#file-extension
const OF_A_TEMPLATE = /\.(pkr\.(hcl|json)|auto\.pkrvars\.(hcl|json))$/;

/** The files of a directory that Packer loads. Others, such as a manifest, are often written by the build. */
export async function templateFiles(path: string): Promise<readonly string[]> {
  const entries = await readdir(path).catch(() => undefined);
  return entries === undefined ? [path] : entries.filter(name => OF_A_TEMPLATE.test(name)).map(name => join(path, name));
}

/** An unreadable file is empty here: Packer reports it. */
export const readTemplateFiles = async (path: string): Promise<readonly { path: string; text: string }[]> =>
  Promise.all(
    [...(await templateFiles(path))].sort().map(async file => ({ path: file, text: await readFile(file, 'utf8').catch(() => '') })),
  );

const DEPTH = 3;

/** Directories with a template, at most three levels deep. */
export function templatesIn(folder: string, path = '', depth = DEPTH): readonly string[] {
  const entries = readdirSync(join(folder, path), { withFileTypes: true });
  const own = entries.some(entry => entry.isFile() && /\.pkr\.(hcl|json)$/.test(entry.name)) ? [path === '' ? '.' : path] : [];
  const inner = entries.filter(entry => entry.isDirectory() && depth > 0 && !/^(\.|node_modules$)/.test(entry.name));
  return [...own, ...inner.flatMap(({ name }) => templatesIn(folder, join(path, name), depth - 1))];
}
