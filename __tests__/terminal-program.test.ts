import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { completion } from '../src/adapters/terminal/help.ts';
import { EXIT_CODES } from '../src/adapters/terminal/host.ts';
import { kebab } from '../src/kit/settings.ts';
import { modes } from '../src/modes.ts';

const root = join(import.meta.dirname, '..');

/** What bash offers for a command line that ends with the last word. */
const offered = (...words: readonly string[]): readonly string[] => {
  const line = `COMP_WORDS=(ami-action ${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _ami_action; echo "\${COMPREPLY[@]}"`;
  const said = execFileSync('bash', ['-c', `${completion('bash')}\n${line}`], { encoding: 'utf8' });
  return said.trim().split(' ');
};

test('bash completes modes, commands, and the settings of the mode', () => {
  expect(offered('pro')).toEqual(['promote']);
  expect(offered('in')).toEqual(['init']);
  expect(offered('promote', '--soak')).toEqual(['--soak-environment', '--soak-time']);
  for (const [name, { settings }] of Object.entries(modes))
    expect([name, offered(name, '--')]).toEqual([
      name,
      expect.arrayContaining([...Object.keys(settings).map(key => `--${kebab(key)}`), '--json', '--debug']),
    ]);
});

test('zsh gets the same through bashcompinit', () => {
  expect(completion('zsh')).toBe(`autoload -U +X bashcompinit && bashcompinit\n${completion('bash')}`);
});

test('the docs have the exit code of every outcome', () => {
  const rows = readFileSync(join(root, 'docs', 'terminal.md'), 'utf8').matchAll(/^\| (\d+) \| (.*) \|$/gm);
  const documented = [...rows].flatMap(([, code, outcomes = '']) =>
    [...outcomes.matchAll(/`(\w+)`/g)].map(([, outcome]) => [outcome, Number(code)]),
  );
  expect(Object.fromEntries(documented)).toEqual(EXIT_CODES);
});

test('the package on npm has the program, its bundle and the examples, and no source or test', () => {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { cwd: root, encoding: 'utf8' }),
  ) as {
    files: { path: string; mode: number }[];
  }[];
  const paths = packed?.files.map(({ path }) => path) ?? [];
  expect([...new Set(paths.map(path => path.split('/')[0]))].sort()).toEqual(
    ['LICENSE', 'README.md', 'action.yml', 'ami.schema.json', 'bin', 'dist', 'examples', 'package.json'].sort(),
  );
  const needed = ['bin/ami-action.js', 'dist/index.js', 'examples/delivery-role.yml', 'examples/workflows/ami-rollback.yml'];
  expect(needed.filter(path => !paths.includes(path))).toEqual([]);
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> };
  expect(Object.values(bin).filter(path => !paths.includes(path))).toEqual([]);
});
