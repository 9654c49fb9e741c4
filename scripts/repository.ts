import { execFileSync } from 'node:child_process';

/** The repository of the action on GitHub. Change it here and run `npm run contract`: it is written everywhere else. */
export const REPOSITORY = 'org/ami-action';

const PLACES = ['*.md', 'docs', 'examples', '.github', 'src/adapters/terminal', 'scripts', '__tests__/dist'];

/** `owner/ami-action` in addresses, `uses:` and the names of teams; not a folder or a file of that name. */
const MENTION =
  /(?<![\w./-])(?:(https:\/\/(?:raw\.)?github(?:usercontent)?\.com\/)|(@))?([\w-]+)\/(ami-action)(?=[@/#'"` )]|-maintainers|$)/gm;

export const placesOfRepository = (root: URL): readonly string[] =>
  execFileSync('git', ['ls-files', '-z', '--', ...PLACES], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter(path => path !== '' && path !== 'scripts/repository.ts');

export const withRepository = (content: string): string =>
  content.replace(MENTION, (_, address = '', at = '') => `${address}${at}${REPOSITORY}`);
