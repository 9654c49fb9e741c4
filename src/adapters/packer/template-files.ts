import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

// https://developer.hashicorp.com/packer/docs/templates/hcl_templates#file-extension
const OF_A_TEMPLATE = /\.(pkr\.(hcl|json)|auto\.pkrvars\.(hcl|json))$/;

/** Of a folder what Packer takes from there by itself. What else lies there, such as a manifest, is often made by the build. */
export async function templateFiles(path: string): Promise<readonly string[]> {
  const entries = await readdir(path).catch(() => undefined);
  return entries === undefined ? [path] : entries.filter(name => OF_A_TEMPLATE.test(name)).map(name => join(path, name));
}

/** What cannot be read Packer cannot read either: it says so. */
export const templateTexts = async (path: string): Promise<readonly string[]> =>
  Promise.all([...(await templateFiles(path))].sort().map(file => readFile(file, 'utf8').catch(() => '')));
