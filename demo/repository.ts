import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A repository that uses the action: the example template unchanged, an app, and a settings file. */
export interface Repository {
  readonly path: string;
  /** Writes the files and commits them. `settings`: content of the settings file. Returns the commit's SHA. */
  commit(message: string, version: string, server: (original: string) => string, settings?: string): string;
}

const SETTINGS = (version: string) => `family: web
version: ${version}
content: [packer/**]
base-image: name:136693071363/debian-12-amd64-*
var: { app_version: ${version} }
checks:
  - service: web
  - http: { port: 8080, path: / }
  - no-failed-units
  - path: /opt/web/version
keep-newest: 1
minimum-age: 0s
warm-up: 60s
environments:
  stage: { groups: [web-stage], checks-timeout: 5m, bake: 6m }
  prod: { groups: [web-prod], checks-timeout: 5m, bake: 6m }
  eu: { groups: [web-eu], checks-timeout: 5m, bake: 6m }
`;

export function makeRepository(path: string): Repository {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', '-c', 'commit.gpgsign=false', ...args], {
      cwd: path,
      encoding: 'utf8',
    }).trim();
  mkdirSync(join(path, '.github'), { recursive: true });
  cpSync(join(import.meta.dirname, '..', 'packer'), join(path, 'packer'), { recursive: true });
  git('init', '--quiet', '--initial-branch=main');
  const app = join(path, 'packer', 'app', 'server.py');
  const original = readFileSync(app, 'utf8');
  return {
    path,
    commit(message, version, server, settings = SETTINGS(version)) {
      writeFileSync(app, server(original));
      appendFileSync(join(path, 'CHANGES.md'), `- ${message}\n`);
      writeFileSync(join(path, '.github', 'ami.yml'), settings);
      git('add', '--all');
      git('commit', '--quiet', '--message', message);
      return git('rev-parse', 'HEAD');
    },
  };
}
