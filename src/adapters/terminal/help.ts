import { closest } from 'fastest-levenshtein';
import { UsageError } from '../../kit/errors.ts';
import { kebab } from '../../kit/settings.ts';
import { modes } from '../../modes.ts';
import { COMMANDS, PROGRAM_FLAGS } from './arguments.ts';

const WIDTH = 100;

/** Help of the program, or of one mode with its settings. */
export function help(mode: string | undefined): string {
  if (mode === undefined) return programHelp();
  const found = mode === 'latest' ? modes['resolve'] : Object.hasOwn(modes, mode) ? modes[mode] : undefined;
  if (found === undefined) throw new UsageError([`"${mode}" is not a mode. Did you mean "${closest(mode, Object.keys(modes))}"?`]);
  const settings = Object.entries(found.settings).map(([key, { doc, fallback, required }]) => {
    const note = required ? ' Required.' : fallback === undefined || fallback === '' ? '' : ` Default: ${fallback}.`;
    return `  --${kebab(key)}\n${wrapped(`${plain(doc)}${note}`, '      ')}`;
  });
  return [`ami-action ${mode} [--setting value ...]`, '', 'Settings, here or in .github/ami.yml:', ...settings].join('\n');
}

const programHelp = (): string =>
  [
    'ami-action <mode> [--setting value ...]',
    '',
    `Modes: ${Object.keys(modes).join(', ')}`,
    'latest             prints the ID of the newest image of the family',
    'init               writes .github/ami.yml and the workflows of this repository',
    'help <mode>        lists the settings of a mode',
    'completion <shell> prints completions for bash or zsh',
    '',
    'Flags: --json (outputs as JSON), --no-cache (list and latest read AWS again), --debug, --help, --version',
    'Settings are read from flags, then from .github/ami.yml. Credentials and region are those of the AWS CLI.',
    'Exit codes: 0 done, 1 rejected, 2 usage, 3 access, 4 timeout, 5 unknown, 70 bug, 130 cancelled.',
  ].join('\n');

/** A completion script: `source <(ami-action completion bash)`. */
export function completion(shell: string): string {
  if (shell !== 'bash' && shell !== 'zsh') throw new UsageError([`"completion" takes bash or zsh, got "${shell}"`]);
  const cases = Object.entries(modes).map(([name, { settings }]) => `    ${name}) words="${flags(Object.keys(settings))}" ;;`);
  const commands = [...Object.keys(modes), ...COMMANDS].join(' ');
  return [
    ...(shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : []),
    '_ami_action() {',
    '  local words word=$' + '{COMP_WORDS[COMP_CWORD]}',
    '  case $' + '{COMP_WORDS[1]} in',
    ...cases,
    `    *) words="${commands}" ;;`,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    'complete -F _ami_action ami-action',
  ].join('\n');
}

const flags = (keys: readonly string[]): string => [...keys.map(kebab), ...PROGRAM_FLAGS].map(name => `--${name}`).join(' ');

const plain = (markdown: string): string => markdown.replace(/`/g, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');

function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 1 <= WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${indent}${word}`);
  }
  return lines.join('\n');
}
