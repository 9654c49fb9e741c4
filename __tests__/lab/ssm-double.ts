import { SSMClient } from '@aws-sdk/client-ssm';
import { instances, type LabInstance } from '../../lab/ec2/state.ts';
import { newId } from '../../lab/ids.ts';
import { type Lab, type LabOptions, startLab } from '../../lab/lab.ts';
import type { Executed, Guest, Hypervisor } from '../../lab/machines/hypervisor.ts';

/** A fake machine: the test sets what its agent and commands do. */
export interface Puppet extends Guest {
  agent: boolean;
  /** Commands that ran, with their input. */
  readonly ran: { command: readonly string[]; input: string }[];
  onExec(input: string, signal: AbortSignal | undefined): Promise<Executed> | Executed;
}

export const puppet = (onExec: Puppet['onExec'] = () => ({ exitCode: 0, stdout: 'fine\n', stderr: '' })): Puppet => ({
  address: '127.10.0.1',
  agent: true,
  ran: [],
  onExec,
  async exec(command, { input = '', signal } = {}) {
    this.ran.push({ command, input });
    return this.onExec(input, signal);
  },
  async agentAlive() {
    return this.agent;
  },
  console: () => '',
  http: async () => undefined,
  stop: async () => undefined,
});

const noHypervisor: Hypervisor = {
  kind: 'paper',
  baseDisk: async () => ({ id: 'none', path: '' }),
  clone: async disk => disk,
  discard: async () => undefined,
  boot: async () => puppet(),
  close: async () => undefined,
};

export interface Stage {
  readonly lab: Lab;
  readonly ssm: SSMClient;
  /** Adds a running instance, without EC2. */
  instance(guest: Puppet, differing?: Partial<LabInstance>): LabInstance;
}

/** A lab without machines, a real SDK client, and an hour of lab time in a second. */
export async function onStage(options: LabOptions, play: (stage: Stage) => Promise<void>): Promise<void> {
  const lab = await startLab({ speed: 3600, machines: noHypervisor, hostManagement: true, ...options });
  const ssm = clientFor(lab);
  try {
    await play({ lab, ssm, instance: (guest, differing) => enter(lab, guest, differing) });
  } finally {
    ssm.destroy();
    await lab.close();
  }
}

export function clientFor(lab: Lab, account?: string, region?: string): SSMClient {
  const environment = lab.environment({ ...(account && { account }), ...(region && { region }) });
  const credentials = {
    accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
  };
  return new SSMClient({ endpoint: lab.url, region: environment.AWS_REGION ?? '', credentials, maxAttempts: 1 });
}

function enter(lab: Lab, guest: Puppet, differing: Partial<LabInstance> = {}): LabInstance {
  const place = lab.place();
  const longAgo = new Date(lab.clock.now() - 3600_000);
  const instance: LabInstance = {
    id: newId('i'),
    place,
    reservationId: newId('r'),
    launchIndex: 0,
    imageId: 'ami-0123456789abcdef0',
    type: 't3.small',
    architecture: 'x86_64',
    state: 'running',
    stateReason: undefined,
    transition: '',
    launchedAt: longAgo,
    changedAt: longAgo,
    impaired: false,
    subnetId: 'subnet-1',
    vpcId: 'vpc-1',
    zone: `${place.region}a`,
    address: guest.address,
    keyName: undefined,
    groupIds: [],
    profileArn: undefined,
    userData: undefined,
    shutdownBehavior: 'stop',
    terminationProtected: false,
    stopProtected: false,
    metadata: {},
    rootDevice: '/dev/xvda',
    volumeIds: [],
    clientToken: undefined,
    disk: undefined,
    guest,
    oldConsole: '',
    ...differing,
  };
  instances(place).set(instance.id, instance);
  return instance;
}
