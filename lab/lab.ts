import type { AddressInfo } from 'node:net';
import { releaseAddresses } from './addresses.ts';
import { type CallLog, callBook } from './calls.ts';
import { type LabClock, labClock } from './clock.ts';
import type { Faults } from './fault-rules.ts';
import { faultBook } from './faults.ts';
import { type Deployed, type Deployment, deploy } from './iam/deploy.ts';
import type { Hypervisor } from './machines/hypervisor.ts';
import type { Core, Place } from './place.ts';
import { accessKeyOf, openSession } from './sts-sessions.ts';
import { TIMINGS, type Timings } from './timings.ts';
import { slowed, type Weather, weatherOf } from './weather.ts';
import { serve } from './wire/server.ts';

export interface LabOptions {
  /** Lab seconds per real second; default 60. */
  readonly speed?: number;
  /** `sandbox` runs real processes; `paper` runs none and answers at once; `vm` boots a real Debian, for which `speed` must be 1. Default: sandbox. */
  readonly machines?: 'sandbox' | 'paper' | 'vm' | Hypervisor;
  readonly timings?: Partial<Timings>;
  /** Turns Default Host Management on in every account. Default: off, as on AWS. https://docs.aws.amazon.com/systems-manager/latest/userguide/managed-instances-default-host-management.html */
  readonly hostManagement?: boolean;
  /** Seed of bad weather. Default: the variable AMI_ACTION_LAB_WEATHER, else good weather. `good`: also where the variable is set. */
  readonly weather?: number | 'good';
  /** Default: any free port of 127.0.0.1. */
  readonly port?: number;
}

export interface Identity {
  readonly account?: string;
  readonly region?: string;
  /** Name of a role whose session the client has. Default: an administrator of the account. */
  readonly role?: string;
}

export interface Lab {
  readonly url: string;
  readonly clock: LabClock;
  readonly core: Core;
  readonly calls: CallLog;
  readonly faults: Faults;
  /** Undefined in good weather. */
  readonly weather: Weather | undefined;
  /** State of an account in a region, for tests. Defaults: account 111122223333, region eu-central-1. */
  place(account?: string, region?: string): Place;
  /** Environment variables for a client that calls the lab as this account. */
  environment(who?: Identity): Record<string, string>;
  /** Deploys the IAM resources of a CloudFormation template. Calls with its roles are then authorised by their policies. */
  deploy(template: string, deployment?: Partial<Deployment>): Deployed;
  close(): Promise<void>;
}

const ACCOUNT = '111122223333';
const REGION = 'eu-central-1';

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const seed = options.weather === 'good' ? undefined : (options.weather ?? seedOfEnvironment());
  const clock = labClock(options.speed ?? 60);
  const hypervisor = await hypervisorOf(options.machines ?? 'sandbox', clock);
  const usual = { ...TIMINGS, ...options.timings };
  const timings = seed === undefined ? usual : slowed(usual, seed);
  const core = makeCore({ clock, timings, hypervisor, hostManagement: options.hostManagement ?? false });
  const [calls, faults] = [callBook(), faultBook(clock)];
  const weather = seed === undefined ? undefined : weatherOf(seed, clock);
  const server = serve({ core, calls, faults, weather, defaultRegion: REGION });
  const listening = new Promise<void>((done, failed) => {
    server.once('error', failed).listen(options.port ?? 0, '127.0.0.1', done);
  });
  await listening.catch(async (cause: unknown) => {
    await core.hypervisor.close();
    throw cause;
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...{ url, clock, core, calls, faults, weather },
    place: (account = ACCOUNT, region = REGION) => core.place(account, region),
    environment: ({ account = ACCOUNT, region = REGION, role } = {}) => ({
      ...environment(url, clock, account, region),
      ...(role === undefined ? {} : credentialsOf(core, account, role)),
    }),
    deploy: (template, deployment = {}) => deploy(core, template, { account: ACCOUNT, region: REGION, ...deployment }),
    close: async () => {
      clock.stop();
      server.closeAllConnections();
      await new Promise(closed => server.close(closed));
      await core.hypervisor.close();
      releaseAddresses(core);
    },
  };
}

function makeCore(settings: Omit<Core, 'place' | 'places'>): Core {
  const places = new Map<string, Place>();
  const core: Core = {
    ...settings,
    place: (account, region) => {
      const key = `${account} ${region}`;
      const place = places.get(key) ?? { account, region, core };
      places.set(key, place);
      return place;
    },
    places: () => [...places.values()],
  };
  return core;
}

async function hypervisorOf(machines: NonNullable<LabOptions['machines']>, clock: LabClock): Promise<Hypervisor> {
  if (typeof machines === 'object') return machines;
  if (machines === 'paper') return (await import('./machines/paper.ts')).paperHypervisor();
  if (machines === 'vm') return (await import('./machines/vm.ts')).vmHypervisor();
  return (await import('./machines/sandbox.ts')).sandboxHypervisor({ clock });
}

function seedOfEnvironment(): number | undefined {
  const text = process.env['AMI_ACTION_LAB_WEATHER'] ?? '';
  return text === '' ? undefined : Number(text);
}

/** Longer than any test in lab time. */
const SESSION_SECONDS = 365 * 86_400;

function credentialsOf(core: Core, account: string, name: string): Record<string, string> {
  const session = openSession(core, { arn: `arn:aws:iam::${account}:role/${name}`, account, name, session: 'lab' }, SESSION_SECONDS);
  return {
    AWS_ACCESS_KEY_ID: session.accessKeyId,
    AWS_SECRET_ACCESS_KEY: session.secretAccessKey,
    AWS_SESSION_TOKEN: session.sessionToken,
  };
}

const environment = (url: string, { speed, since }: LabClock, account: string, region: string): Record<string, string> => ({
  AWS_ENDPOINT_URL: url,
  AWS_ACCESS_KEY_ID: accessKeyOf(account),
  AWS_SECRET_ACCESS_KEY: 'of-the-lab',
  AWS_REGION: region,
  AWS_DEFAULT_REGION: region,
  // The product's waits and deadlines run as fast as the lab.
  AMI_ACTION_CLOCK_SPEED: String(speed),
  AMI_ACTION_CLOCK_SINCE: String(since),
  AWS_EC2_METADATA_DISABLED: 'true',
  // Packer: https://developer.hashicorp.com/packer/integrations/hashicorp/amazon . CHECKPOINT_DISABLE turns its version check off.
  AWS_POLL_DELAY_SECONDS: '1',
  CHECKPOINT_DISABLE: '1',
});
