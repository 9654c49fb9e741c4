import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lab } from '../../lab/lab.ts';

/** Commands that the docs say to paste, run with the real AWS CLI against a lab. */

const root = join(import.meta.dirname, '..', '..');

export const hasAwsCli = spawnSync('aws', ['--version']).status === 0;

/** The first shell block of a page after this text. */
export function shellBlock(page: string, after: string): string {
  const text = readFileSync(join(root, page), 'utf8');
  const [, block] = /```sh\n([\s\S]*?)```/.exec(text.slice(text.indexOf(after))) ?? [];
  if (block === undefined || !text.includes(after)) throw new Error(`${page} has no shell block after ${JSON.stringify(after)}.`);
  return block;
}

/** Runs commands as an admin of an account, and rejects where one fails. The templates are those of this checkout, and `gh` answers for acme/web. */
export async function paste(lab: Lab, commands: string, account?: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ami-action-paste-'));
  const program = (name: string, script: string) => writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  program('curl', `for last; do :; done; cp "${root}/\${last#https://raw.githubusercontent.com/org/ami-action/v0.1.0/}" .`);
  program('gh', 'echo 456789');
  const given = lab.environment(account === undefined ? {} : { account });
  const env = {
    ...process.env,
    ...given,
    AWS_DEFAULT_REGION: given['AWS_REGION'],
    PATH: `${folder}:${process.env['PATH']}`,
    AWS_PAGER: '',
  };
  try {
    await promisify(execFile)('bash', ['-e', '-c', commands], { cwd: folder, env });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
