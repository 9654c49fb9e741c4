import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Execute } from '../runner.ts';

/** Runs the source in this process, a tenth of the cost of a process of its own. Environment and output are global: one run at a time. */

const ENTRY = pathToFileURL(join(import.meta.dirname, '..', '..', 'src', 'index.ts')).href;

let runs = 0;

export const inProcess: Execute = async ({ GITHUB_STEP_SUMMARY: _, ...environment }, workspace) => {
  const before = { env: process.env, cwd: process.cwd(), write: process.stdout.write };
  const log: string[] = [];
  const failures: unknown[] = [];
  const crash = (failure: unknown) => void failures.push(failure);
  process.on('unhandledRejection', crash).on('uncaughtException', crash);
  process.env = { ...environment };
  process.chdir(workspace);
  process.exitCode = 0;
  // An argument means a terminal.
  process.argv.splice(2);
  process.stdout.write = ((text: string | Uint8Array) => log.push(String(text)) > 0) as typeof process.stdout.write;
  runs += 1;
  try {
    // Another address is another module: index.ts is evaluated again, and what it imports is not.
    await import(`${ENTRY}?run=${runs}`).catch(crash);
  } finally {
    Object.assign(process, { env: before.env });
    process.chdir(before.cwd);
    process.stdout.write = before.write;
    for (const name of ['SIGINT', 'SIGTERM', 'unhandledRejection', 'uncaughtException']) process.removeAllListeners(name);
  }
  const exitCode = failures.length > 0 ? 1 : Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { exitCode, log: [...log, ...failures.map(failure => `crashed: ${(failure as Error)?.stack ?? failure}\n`)].join('') };
};
