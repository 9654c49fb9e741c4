import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { cachedPlugins, pluginFolder } from '../../src/adapters/packer/plugin-cache.ts';

const home = mkdtempSync(join(tmpdir(), 'plugin-cache-test-'));
const template = join(home, 'template');
const folder = join(home, 'plugins');
const REQUIRES =
  'packer {\n  required_plugins {\n    amazon = {\n      source = "github.com/hashicorp/amazon"\n      version = ">= 1.8.1"\n    }\n  }\n}\n';

/** GitHub's cache as @actions/cache speaks to it, in its first version. */
const saved = new Map<string, Buffer>();
const reserved: string[] = ['0 is no ID'];
let broken = false;
let server: Server;
const environment = { ...process.env };

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '', 'http://localhost');
    const [, id] = /\/caches\/(\d+)$/.exec(url.pathname) ?? [];
    const answer = (status: number, content?: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(content && JSON.stringify(content));
    if (broken) return answer(500);
    if (url.pathname.startsWith('/archive/')) return response.end(saved.get(decodeURIComponent(url.pathname.slice('/archive/'.length))));
    if (request.method === 'GET') {
      const key = url.searchParams.get('keys') ?? '';
      return saved.has(key)
        ? answer(200, { cacheKey: key, archiveLocation: `${address()}/archive/${encodeURIComponent(key)}` })
        : answer(204);
    }
    if (request.method === 'PATCH') saved.set(reserved[Number(id)] ?? '', body);
    if (request.method === 'POST' && id === undefined) return answer(201, { cacheId: reserved.push(JSON.parse(body.toString()).key) - 1 });
    return answer(204);
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  process.env['ACTIONS_CACHE_URL'] = `${address()}/`;
  process.env['ACTIONS_RUNTIME_TOKEN'] = 'token';
  process.env['RUNNER_TEMP'] = home;
});
afterAll(() => {
  process.env = environment;
  server.close();
  rmSync(home, { recursive: true });
});
const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const said: string[] = [];
const host = (more: NodeJS.ProcessEnv = {}) => ({
  environment: { HOME: home, ACTIONS_RUNTIME_TOKEN: 'token', ...more },
  folder,
  log: (line: string) => void said.push(line),
});
let downloads = 0;
const init = async () => {
  downloads += 1;
  writeFileSync(join(folder, 'plugin'), 'binary');
  return { exitCode: 0, signal: undefined };
};

beforeEach(() => {
  broken = false;
  downloads = 0;
  said.length = 0;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(template, { recursive: true });
  writeFileSync(join(template, 'image.pkr.hcl'), REQUIRES);
});

describe('plugins', () => {
  test('are kept in the cache and come back from there', async () => {
    await cachedPlugins(template, host(), init);
    expect(saved.size).toBe(1);
    rmSync(folder, { recursive: true });
    await cachedPlugins(template, host(), async () => {
      expect(readFileSync(join(folder, 'plugin'), 'utf8')).toBe('binary');
      return { exitCode: 0, signal: undefined };
    });
    expect(said.join()).toContain('restored from the cache');
    expect(saved.size).toBe(1);
  });

  test('of another constraint are other plugins', async () => {
    writeFileSync(join(template, 'image.pkr.hcl'), REQUIRES.replace('1.8.1', '1.9.0'));
    const before = saved.size;
    await cachedPlugins(template, host(), init);
    expect(saved.size).toBe(before + 1);
  });

  test('are downloaded all the same when the cache is broken', async () => {
    broken = true;
    expect(await cachedPlugins(template, host(), init)).toMatchObject({ exitCode: 0 });
    expect(downloads).toBe(1);
  });

  test('that could not be downloaded are not kept', async () => {
    writeFileSync(join(template, 'image.pkr.hcl'), REQUIRES.replace('1.8.1', '2.0.0'));
    const before = saved.size;
    expect(await cachedPlugins(template, host(), async () => ({ exitCode: 1, signal: undefined }))).toMatchObject({ exitCode: 1 });
    expect(saved.size).toBe(before);
  });

  test('are left where somebody has put them, and where there is no cache or nothing to keep', async () => {
    expect(await pluginFolder(template, host())).toBe(folder);
    expect(await pluginFolder(template, host({ PACKER_PLUGIN_PATH: '/opt/plugins' }))).toBeUndefined();
    expect(await pluginFolder(template, host({ ACTIONS_RUNTIME_TOKEN: '' }))).toBeUndefined();
    const own = join(home, 'own');
    mkdirSync(join(own, 'plugins', 'github.com'), { recursive: true });
    expect(await pluginFolder(template, host({ PACKER_CONFIG_DIR: own }))).toBeUndefined();
    writeFileSync(join(template, 'image.pkr.hcl'), 'source "null" "x" {}\n');
    expect(await pluginFolder(template, host())).toBeUndefined();
  });
});
