import { EOL } from 'node:os';
// The files of @actions/core that need no HTTP client: its main file brings one, a fifth of the time that a start takes.
import { issue, issueCommand } from '../../node_modules/@actions/core/lib/command.js';
import { issueFileCommand, prepareKeyValueMessage } from '../../node_modules/@actions/core/lib/file-command.js';

export { summary } from '../../node_modules/@actions/core/lib/summary.js';

/** The commands of the runner, as @actions/core names them. https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands */

/** "Enable debug logging" of a run. */
export const isDebug = (): boolean => process.env['RUNNER_DEBUG'] === '1';
export const debug = (message: string): void => issueCommand('debug', {}, message);
export const warning = (message: string): void => issueCommand('warning', {}, message);
export const error = (message: string, where: { readonly file?: string; readonly line?: number } = {}): void =>
  issueCommand('error', where, message);
export const info = (message: string): void => void process.stdout.write(message + EOL);
export const startGroup = (title: string): void => issue('group', title);
export const endGroup = (): void => issue('endgroup');
export const setSecret = (secret: string): void => issueCommand('add-mask', {}, secret);
export const setOutput = (name: string, value: string): void => keep('OUTPUT', 'set-output', name, value);
export const saveState = (name: string, value: string): void => keep('STATE', 'save-state', name, value);
/** Of the main step; empty if it saved none. */
export const getState = (name: string): string => process.env[`STATE_${name}`] ?? '';

export function setFailed(message: string): void {
  process.exitCode = 1;
  error(message);
}

function keep(file: 'OUTPUT' | 'STATE', command: string, name: string, value: string): void {
  if (process.env[`GITHUB_${file}`]) issueFileCommand(file, prepareKeyValueMessage(name, value));
  else issueCommand(command, { name }, value);
}
