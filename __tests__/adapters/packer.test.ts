import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { strToU8, zipSync } from 'fflate';
import { packerEnvironment, pollingWarning } from '../../src/adapters/packer/environment.ts';
import { chosenArchive, installedPacker, packerOnPath } from '../../src/adapters/packer/install.ts';
import { packer } from '../../src/adapters/packer/packer.ts';
import { thisPlatform } from '../../src/adapters/packer/pins.ts';
import { settings } from '../../src/image-build/settings.ts';
import type { JournalEntry, Reporter, Run } from '../../src/ports/deps.ts';
import type { PackerBuild } from '../../src/ports/packer.ts';

const home = mkdtempSync(join(tmpdir(), 'packer-test-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let count = 0;
const folder = (name = 'folder'): string => {
  count += 1;
  const path = join(home, `${name}-${count}`);
  mkdirSync(path, { recursive: true });
  return path;
};

/** An executable that runs these commands and leaves a mark that it was run. */
const program = (where: string, says: string, name = 'packer'): string => {
  const path = join(where, name);
  writeFileSync(path, `#!/bin/sh\ntouch "$0.ran"\n${says}\n`);
  chmodSync(path, 0o755);
  return path;
};
const IS_PACKER = (version: string) => `echo 'Packer v${version}'`;
const wasRun = (path: string) => existsSync(`${path}.ran`);
const path = (...folders: string[]) => [...folders, '/usr/bin', '/bin'].join(':');

describe('Packer on PATH', () => {
  test('is taken by its absolute path when its version fits', async () => {
    const bin = folder();
    const binary = program(bin, IS_PACKER('1.15.2'));
    const { tool } = await packerOnPath('>=1.14.0', folder('workspace'), { PATH: path(bin) });
    expect(tool).toEqual({ binary, version: '1.15.2' });
  });

  test('with another version is passed over for the next, and said', async () => {
    const [old, newer] = [folder(), folder()];
    program(old, IS_PACKER('1.6.6'));
    const binary = program(newer, IS_PACKER('1.16.0'));
    const { tool, refused } = await packerOnPath('>=1.14.0', folder('workspace'), { PATH: path(old, newer) });
    expect(tool?.binary).toBe(binary);
    expect(refused).toEqual([`${old}/packer is 1.6.6, "packer-version" asks for >=1.14.0`]);
  });

  // Older ones cannot install today's amazon plugin: https://github.com/hashicorp/packer/blob/main/CHANGELOG.md (1.14.0).
  test('is by default at least 1.14.1', async () => {
    const asked = settings.packerVersion.fallback ?? '';
    const taken = async (version: string) => {
      const bin = folder();
      program(bin, IS_PACKER(version));
      return (await packerOnPath(asked, folder('workspace'), { PATH: path(bin) })).tool?.version;
    };
    expect([await taken('1.13.1'), await taken('1.14.0'), await taken('1.14.1')]).toEqual([undefined, undefined, '1.14.1']);
  });

  test("scenario 19: an attacker's file in the workspace is not run, directly or through a link", async () => {
    const workspace = folder('workspace');
    const inside = program(workspace, IS_PACKER('1.16.0'));
    const outside = folder();
    symlinkSync(inside, join(outside, 'packer'));
    const { tool, refused } = await packerOnPath('*', workspace, { PATH: path(workspace, outside) });
    expect(tool).toBeUndefined();
    expect(refused).toEqual([`${inside} is inside the workspace`, `${outside}/packer is inside the workspace`]);
    expect(wasRun(inside)).toBe(false);
  });

  test('scenario 19: a relative folder of PATH is not looked into', async () => {
    const workspace = folder('workspace');
    const inside = program(workspace, IS_PACKER('1.16.0'));
    const before = process.cwd();
    process.chdir(workspace);
    try {
      for (const relative of ['.', '']) expect((await packerOnPath('*', folder('other'), { PATH: path(relative) })).tool).toBeUndefined();
    } finally {
      process.chdir(before);
    }
    expect(wasRun(inside)).toBe(false);
  });

  test("scenario 19: cracklib's packer is another thing: neither by its name nor by what it says", async () => {
    const [linked, copied] = [folder(), folder()];
    const cracklib = program(linked, 'cat', 'cracklib-packer');
    symlinkSync(cracklib, join(linked, 'packer'));
    program(copied, 'echo "0 0"');
    const { tool, refused } = await packerOnPath('*', folder('workspace'), { PATH: path(linked, copied) });
    expect(tool).toBeUndefined();
    expect(refused).toEqual([
      `${linked}/packer belongs to cracklib`,
      `${copied}/packer is not HashiCorp's Packer: "packer version" prints no version`,
    ]);
    expect(wasRun(cracklib)).toBe(false);
  });
});

describe("Packer from the vendor's archive", () => {
  let server: Server;
  let mirror = '';
  const served = new Map<string, Uint8Array>();
  beforeAll(async () => {
    server = createServer((request, response) => {
      const body = served.get(request.url ?? '');
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  const SCRIPT = strToU8('#!/bin/sh\ntouch "$0.ran"\necho \'Packer v9.9.9\'\n');
  const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
  const install = async (archive: Uint8Array | undefined, hash: string, cache = folder('cache'), env: NodeJS.ProcessEnv = {}) => {
    const url = `/packer/9.9.9/packer_9.9.9_${thisPlatform()}.zip`;
    if (archive === undefined) served.delete(url);
    else served.set(url, archive);
    const environment = { PATH: '/usr/bin:/bin', RUNNER_TOOL_CACHE: cache, ...env };
    return await installedPacker(
      { version: '9.9.9', sha256: hash, mirror },
      { workspace: folder('workspace'), temp: folder('temp'), environment, log: () => {} },
    );
  };

  test('is unpacked when its hash is right, and cached', async () => {
    const archive = zipSync({ 'LICENSE.txt': strToU8('licence'), packer: SCRIPT });
    const cache = folder('cache');
    const tool = await install(archive, sha256(archive), cache);
    expect(tool).toMatchObject({ version: '9.9.9', from: 'archive' });
    expect(readFileSync(tool.binary)).toEqual(Buffer.from(SCRIPT));
    expect(statSync(tool.binary).mode & 0o777).toBe(0o755);
    // Not asked for again.
    expect(readFileSync((await install(undefined, sha256(archive), cache)).binary)).toEqual(Buffer.from(SCRIPT));
  });

  // The cache of a self-hosted runner belongs to all its jobs: one may replace an archive, and every file next to it.
  test('that was changed in the cache is fetched again', async () => {
    const archive = zipSync({ packer: SCRIPT });
    const cache = folder('cache');
    await install(archive, sha256(archive), cache);
    const [kept = ''] = readdirSync(cache, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
    const evil = zipSync({ packer: strToU8('#!/bin/sh\nevil\n') });
    writeFileSync(kept, evil);
    writeFileSync(`${kept}.sha256`, sha256(evil));
    expect(readFileSync((await install(archive, sha256(archive), cache)).binary)).toEqual(Buffer.from(SCRIPT));
    expect(readFileSync(kept)).toEqual(Buffer.from(archive));
  });

  const whole = zipSync({ packer: SCRIPT });
  test.each([
    ['another hash', whole, sha256(strToU8('the right one')), /has the wrong SHA-256.*expected [0-9a-f]{64}\. It was not used/],
    ['the end cut off', whole.slice(0, -40), sha256(whole), /has the wrong SHA-256/],
    ['the end cut off, and a hash that fits', whole.slice(0, -40), sha256(whole.slice(0, -40)), /is damaged/],
    [
      'no packer in it',
      zipSync({ 'README.md': strToU8('hello') }),
      sha256(zipSync({ 'README.md': strToU8('hello') })),
      /contains no packer/,
    ],
  ])('scenario 14: with %s is refused, and nothing of it is run', async (_, archive, hash, says) => {
    const cache = folder('cache');
    await expect(install(archive, hash, cache)).rejects.toThrow(says);
    expect(filesIn(cache)).toEqual([]);
  });

  test.each(['../../../../tmp/evil', '/etc/cron.d/evil', 'a/../../evil', '..\\evil', 'C:\\evil'])(
    'scenario 14: with an entry %j is refused as a whole',
    async name => {
      const archive = zipSync({ [name]: strToU8('evil'), packer: SCRIPT });
      await expect(install(archive, sha256(archive))).rejects.toThrow('would be written outside its folder');
    },
  );

  test('scenario 14: whose hash is wrong is not replaced by anything else', async () => {
    const go = folder();
    const mark = program(go, 'exit 1', 'go');
    await expect(install(whole, sha256(strToU8('x')), folder('cache'), { PATH: path(go) })).rejects.toThrow('has the wrong SHA-256');
    expect(wasRun(mark)).toBe(false);
  });

  test('that is not there is one of two reasons', async () => {
    await expect(install(undefined, sha256(whole))).rejects.toThrow(
      /Packer 9\.9\.9 not found:\n- PATH has no packer\n- the archive of Packer 9\.9\.9 could not be downloaded from .*404/s,
    );
  });

  test('of a version range is the newest that is known by its hash', () => {
    expect(chosenArchive({ version: '1.15.x', sha256: undefined, mirror }, 'linux_amd64')).toEqual({
      version: '1.15.4',
      platform: 'linux_amd64',
      sha256: '15f97a6a99645c7d5308c609973b5280837b38e112beac413ccbce80da927cf1',
    });
    expect(chosenArchive({ version: '1.2.3', sha256: undefined, mirror }, 'linux_amd64')).toEqual({
      reason: 'the action knows no archive of Packer 1.2.3 for linux_amd64: set "packer-sha256"',
    });
    expect(() => chosenArchive({ version: '>=1.14.0', sha256: 'a'.repeat(64), mirror })).toThrow('must be one version');
  });
});

const filesIn = (where: string): string[] =>
  readdirSync(where, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => name);

describe('what Packer sees of our environment', () => {
  test('is AWS and its own settings, not what the runner gives to the action alone', () => {
    const seen = packerEnvironment({
      AWS_ACCESS_KEY_ID: 'AKIA',
      PKR_VAR_x: '1',
      PATH: '/bin',
      INPUT_VAR: 'secret',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'secret',
      ACTIONS_RUNTIME_TOKEN: 'secret',
      GITHUB_ENV: '/runner/env',
      GITHUB_PATH: '/runner/path',
      GITHUB_OUTPUT: '/runner/output',
      GITHUB_STATE: '/runner/state',
      STATE_journal: '[]',
    });
    expect(seen).toEqual({ AWS_ACCESS_KEY_ID: 'AKIA', PKR_VAR_x: '1', PATH: '/bin', CHECKPOINT_DISABLE: '1', PACKER_NO_COLOR: '1' });
  });

  test('scenario 15: AWS_MAX_ATTEMPTS is passed on only as a number, and its second meaning is reported', () => {
    expect(packerEnvironment({ AWS_MAX_ATTEMPTS: 'abc' })).not.toHaveProperty('AWS_MAX_ATTEMPTS');
    expect(packerEnvironment({ AWS_MAX_ATTEMPTS: '40' })).toHaveProperty('AWS_MAX_ATTEMPTS', '40');
    expect(pollingWarning({ AWS_MAX_ATTEMPTS: 'abc' })).toContain('"abc", which is not a number');
    expect(pollingWarning({ AWS_MAX_ATTEMPTS: '40' })).toContain('at most 80 s');
    expect(pollingWarning({ AWS_MAX_ATTEMPTS: '40', AWS_POLL_DELAY_SECONDS: '15' })).toBeUndefined();
    expect(pollingWarning({})).toBeUndefined();
  });
});

describe('a command of Packer', () => {
  const journal = () => {
    const entries: JournalEntry[] = [];
    const log: JournalEntry[] = [];
    return {
      log,
      entries,
      remember: (entry: JournalEntry) => {
        entries.push(entry);
        log.push(entry);
      },
      forget: (entry: JournalEntry) => void entries.splice(entries.indexOf(entry), 1),
    };
  };
  const report: Reporter = {
    step: (_, work) => work(),
    info: () => {},
    warn: () => {},
    debug: () => {},
    untrusted: () => {},
    summary: () => {},
    mask: () => {},
  };
  const opened = (more: NodeJS.ProcessEnv = {}) => {
    const [workspace, temp] = [folder('workspace'), folder('temp')];
    const run = { workspace, temp, cancelled: new AbortController().signal } as Run;
    const kept = journal();
    return {
      workspace,
      temp,
      kept,
      packer: packer({ run, journal: kept, report, environment: { PATH: '/usr/bin:/bin', ...more } }),
    };
  };
  const order = (binary: string, more: Partial<PackerBuild> = {}): PackerBuild => ({
    binary,
    template: '/template',
    given: {},
    variables: {},
    varFiles: [],
    only: [],
    except: [],
    workingDirectory: home,
    secrets: {},
    hidden: [],
    environment: {},
    atMostSeconds: 60,
    edits: [],
    ...more,
  });

  const NEVER = new AbortController().signal;
  const NASTY = {
    spaces: 'a b  c',
    quotes: `it's "quoted"`,
    lines: 'one\ntwo',
    command: ';rm -rf / #',
    dash: '-x',
    shell: '$(touch /tmp/never) `id` ${HOME}',
    equals: 'a=b=c',
    empty: '',
  };

  test('scenario 17: gets values unchanged, without a shell', async () => {
    const { packer, workspace } = opened();
    const seen: string[] = [];
    const binary = program(folder(), 'for argument; do printf "%s" "$argument" | od -An -v -tx1 | tr -d " \\n"; echo; done');
    await packer.build(
      order(binary, { variables: NASTY, varFiles: ['/a b.pkrvars.hcl'], only: ['amazon-ebs.*'] }),
      line => seen.push(Buffer.from(line, 'hex').toString()),
      NEVER,
    );
    expect(seen.slice(0, 5)).toEqual(['build', '-machine-readable', '-color=false', '-on-error=cleanup', '-warn-on-undeclared-var']);
    expect(seen.slice(6)).toEqual([
      '-var-file=/a b.pkrvars.hcl',
      ...Object.entries(NASTY).map(([name, value]) => `-var=${name}=${value}`),
      '-only=amazon-ebs.*',
      '/template',
    ]);
    expect(existsSync('/tmp/never')).toBe(false);
    expect(workspace).not.toBe('');
  });

  test('reads variables of the action from a private file that is removed when it ends', async () => {
    const { packer, temp, kept } = opened();
    const seen: string[] = [];
    const binary = program(
      folder(),
      'for a; do case $a in -var-file=*) file=${a#-var-file=};; esac; done; stat -c %a "$file"; cat "$file"; echo; echo "$file"',
    );
    const { exitCode } = await packer.validate(order(binary, { given: { ami_tags: { a: 'b' }, token: 's3cret' } }), line =>
      seen.push(line),
    );
    expect(exitCode).toBe(0);
    expect(seen[0]).toBe('600');
    expect(JSON.parse(seen[1] ?? '')).toEqual({ ami_tags: { a: 'b' }, token: 's3cret' });
    expect(seen[2]?.startsWith(temp)).toBe(true);
    expect(existsSync(seen[2] ?? '')).toBe(false);
    // In the journal while it exists, so that the post step can remove it.
    expect(kept.log.map(({ kind }) => kind)).toEqual(['file']);
    expect(kept.entries).toEqual([]);
  });

  test('downloads plugins without credentials of AWS, and validates with them', async () => {
    const { packer } = opened({ AWS_ACCESS_KEY_ID: 'AKIA', AWS_PROFILE: 'delivery' });
    const binary = program(folder(), 'env | sort');
    const template = join(folder('template'), 'image.pkr.hcl');
    writeFileSync(template, '');
    const environment = { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'token' };
    const seen: Record<'init' | 'validate', string[]> = { init: [], validate: [] };
    await packer.init(order(binary, { template, environment }), line => seen.init.push(line));
    await packer.validate(order(binary, { template, environment }), line => seen.validate.push(line));
    expect(seen.init.filter(line => line.startsWith('AWS_'))).toEqual([]);
    expect(seen.init.some(line => line.startsWith('PATH='))).toBe(true);
    expect(seen.validate.filter(line => line.startsWith('AWS_'))).toHaveLength(4);
  });

  // What is left of a deadline is rarely whole: 867 ms in seconds, times 1000, is 867.0000000000001.
  test('takes a time limit that is no whole number of milliseconds', async () => {
    const { packer } = opened();
    const binary = program(folder(), 'exit 0');
    expect(await packer.build(order(binary, { atMostSeconds: 60.0001 }), () => {}, NEVER)).toMatchObject({ exitCode: 0 });
  });

  test('is stopped at its time limit, and the result shows it', async () => {
    const { packer } = opened();
    const binary = program(folder(), 'trap "exit 1" TERM; while :; do sleep 0.05; done');
    expect(await packer.build(order(binary, { atMostSeconds: 0.3 }), () => {}, NEVER)).toMatchObject({ exitCode: 1, stopped: 'timeout' });
  });

  test('is stopped by its caller, which knows why', async () => {
    const { packer } = opened();
    const binary = program(folder(), 'trap "exit 1" TERM; echo ready; while :; do sleep 0.05; done');
    const stop = new AbortController();
    expect(await packer.build(order(binary), () => stop.abort(), stop.signal)).toMatchObject({ exitCode: 1, stopped: undefined });
  });

  test('reports the variables of a template, and which of them are sensitive', async () => {
    const { packer } = opened();
    const said = [
      '1,,ui,say,Packer Inspect: HCL2 mode\\n',
      '1,,ui,say,> input-variables:\\n\\nvar.ami_name: "<unknown>"\\nvar.note: "a%!(PACKER_COMMA) b"\\nvar.token: "<sensitive>"\\n\\n> local-variables:\\n\\nlocal.x: "1"',
    ];
    const binary = program(folder(), `cat <<'END'\n${said.join('\n')}\nEND`);
    expect([...(await packer.inspect(binary, '/template')).variables]).toEqual([
      ['ami_name', 'plain'],
      ['note', 'plain'],
      ['token', 'sensitive'],
    ]);
  });

  test('reports the variables of a JSON template too', async () => {
    const { packer } = opened();
    const binary = program(folder(), "echo '1,,template-variable,ami_name,,1'; echo '1,,template-variable,token,<sensitive>,0'");
    const { variables, soleSource } = await packer.inspect(binary, '/template.json');
    expect([...variables]).toEqual([
      ['ami_name', 'plain'],
      ['token', 'sensitive'],
    ]);
    expect(soleSource).toBeUndefined();
  });

  const inspected = (builds: string) => `1,,ui,say,> input-variables:\\n\\n\n1,,ui,say,> builds:\\n\\n${builds}`;
  const named = (name: string, sources: string, after = '<no post-processor>') =>
    `  > ${name}:\\n\\n    sources:\\n\\n${sources}\\n\\n    provisioners:\\n\\n      shell\\n\\n    post-processors:\\n\\n      ${after}\\n`;
  test.each<[string, string, string | undefined]>([
    ['one source', named('<unnamed build 0>', '      amazon-ebs.web'), 'amazon-ebs.web'],
    ['one source of a build with a name', named('nightly', '      amazon-ebs.web'), 'nightly.amazon-ebs.web'],
    ['two sources', named('<unnamed build 0>', '      amazon-ebs.web\\n\\n      amazon-ebs.db'), undefined],
    ['two builds', named('a', '      amazon-ebs.web') + named('b', '      amazon-ebs.web'), undefined],
    ['a post-processor', named('<unnamed build 0>', '      amazon-ebs.web', '0:\\n        shell-local'), undefined],
    ['no build', '', undefined],
  ])('reports the only source of a template with %s', async (_, builds, soleSource) => {
    const binary = program(folder(), `cat <<'END'\n${inspected(builds)}\nEND`);
    expect(await opened().packer.inspect(binary, '/template')).toMatchObject({ soleSource });
  });
});
