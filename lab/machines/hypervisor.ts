/**
 * Runs the lab's instances. Three implementations: `sandbox` (real processes in a real root), `paper` (none; for tests of scale) and `vm` (a real
 * Debian with its own kernel; a minute of boot).
 */
export interface Hypervisor {
  readonly kind: 'sandbox' | 'paper' | 'vm';
  /** The disk of a base image: a small Linux with a service manager and an SSM agent. Created once and never discarded. */
  baseDisk(): Promise<Disk>;
  clone(disk: Disk): Promise<Disk>;
  discard(disk: Disk): Promise<void>;
  /** Resolves when its processes run and its address accepts connections. The disk belongs to the instance from now on. */
  boot(spec: GuestSpec): Promise<Guest>;
  /** Kills every guest and removes every disk. */
  close(): Promise<void>;
}

/** The content of a volume or snapshot. */
export interface Disk {
  readonly id: string;
  /** Path on the host; empty for paper. */
  readonly path: string;
}

export interface GuestSpec {
  readonly instanceId: string;
  readonly disk: Disk;
  /** 127.10.x.y: unique in the lab, and connectable. */
  readonly address: string;
  /** OpenSSH public keys that may log in. */
  readonly authorizedKeys: readonly string[];
  /** Runs at the first boot of this instance; a script or MIME multipart. */
  readonly userData: string | undefined;
  readonly firstBoot: boolean;
  readonly tags: Readonly<Record<string, string>>;
  /** Size of the root volume in GiB, as the guest's df shows it. Default: 8. */
  readonly volumeGib?: number;
  /** What the metadata service tells. Only machines of kind `vm` have one. */
  readonly about?: About;
  /** The guest shut itself down (`shutdown -h`, self-termination) or died. Not called for stop() and kill(). */
  onEnd(): void;
}

export interface About {
  readonly account: string;
  readonly zone: string;
  readonly imageId: string;
  readonly instanceType: string;
  /** Whether the metadata service insists on a token. */
  readonly tokens: 'optional' | 'required';
  /** The role of its instance profile, with credentials of its own. */
  readonly role?: { readonly name: string; readonly accessKeyId: string; readonly secretAccessKey: string; readonly token: string };
}

export interface Guest {
  readonly address: string;
  /** A command as root inside the guest. `signal` ends it. */
  exec(
    command: readonly string[],
    options?: { input?: string; signal?: AbortSignal; onOutput?: (chunk: Buffer) => void },
  ): Promise<Executed>;
  /** Whether the SSM agent's process runs now. */
  agentAlive(): Promise<boolean>;
  /** Console output of the boot and the services so far. */
  console(): string;
  /** Connects from outside, as a load balancer would: status code of an HTTP GET, or undefined when nothing answers. */
  http(port: number, path: string): Promise<number | undefined>;
  /** Shuts down in order, services first. The disk stays. */
  stop(): Promise<void>;
}

export interface Executed {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}
