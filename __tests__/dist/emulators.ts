import { type ChildProcess, spawn } from 'node:child_process';
import { startLab } from '../../lab/lab.ts';
import { findWitnesses, freePort, startMoto } from '../lab/witness/witnesses.ts';

/** AWS as the lab and two emulators that others wrote serve it. */
export interface Emulator extends AsyncDisposable {
  readonly name: string;
  readonly account: string;
  readonly environment: Readonly<Record<string, string>>;
}

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'eu-central-1' };

/** An hour of waiting is a minute, as in the lab. */
const SPEED = 60;

const environmentOf = (url: string): Record<string, string> => ({
  ...{ ...KEYS, AWS_DEFAULT_REGION: KEYS.AWS_REGION, AWS_ENDPOINT_URL: url, AWS_EC2_METADATA_DISABLED: 'true' },
  ...{ AMI_ACTION_CLOCK_SPEED: String(SPEED), AMI_ACTION_CLOCK_SINCE: String(Date.now()) },
  ...{ AWS_POLL_DELAY_SECONDS: '1', CHECKPOINT_DISABLE: '1' },
});

export async function lab(): Promise<Emulator> {
  const started = await startLab({ speed: 240, hostManagement: true });
  return {
    ...{ name: 'lab', account: '111122223333', environment: started.environment() },
    [Symbol.asyncDispose]: () => started.close(),
  };
}

export async function moto(): Promise<Emulator> {
  const server = await startMoto(pythonOf(await findWitnesses('witness')));
  return {
    ...{ name: 'moto', account: '123456789012', environment: environmentOf(server.url) },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** https://github.com/ministackorg/ministack : its instances are containers, or nothing where there is no Docker. */
export async function ministack(): Promise<Emulator> {
  const python = pythonOf(await findWitnesses('ministack'));
  const port = await freePort();
  const child = spawn(python, ['-B', '-m', 'ministack'], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', GATEWAY_PORT: String(port), LOG_LEVEL: 'ERROR' },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const url = `http://127.0.0.1:${port}`;
  await answering(child, `${url}/_ministack/health`);
  const gone = new Promise<void>(settle => child.once('exit', () => settle()));
  return {
    ...{ name: 'ministack', account: '000000000000', environment: environmentOf(url) },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

const pythonOf = (found: Awaited<ReturnType<typeof findWitnesses>>): string => {
  if ('missing' in found) throw new Error(found.missing);
  return found.python;
};

async function answering(child: ChildProcess, url: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${url}: the server ended.`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer !== undefined) return;
    await new Promise(wake => setTimeout(wake, 100));
  }
  throw new Error(`${url}: the server never answered.`);
}
