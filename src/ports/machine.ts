/** The machine that this process runs on. */
interface MachineFacts {
  readonly node: string;
  /** `linux x64` */
  readonly system: string;
  /** Versions; undefined where the tool is not found. */
  readonly git: string | undefined;
  readonly freeBytes: number;
  /** By how much its clock differs from that of AWS, in milliseconds; 0 below a minute. */
  readonly skewMs: number;
}

export interface Machine {
  facts(): Promise<MachineFacts>;
}
