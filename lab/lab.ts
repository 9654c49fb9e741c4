import type { LabClock } from './clock.ts';
import type { Place } from './place.ts';
import type { Timings } from './timings.ts';

export interface LabOptions {
  /** Lab seconds per real second; default 60. */
  readonly speed?: number;
  /** `sandbox` runs real processes; `paper` runs none and answers at once. Default sandbox. */
  readonly machines?: 'sandbox' | 'paper';
  readonly timings?: Partial<Timings>;
  /** Default: any free port of 127.0.0.1. */
  readonly port?: number;
}

export interface Lab {
  readonly url: string;
  readonly clock: LabClock;
  /** State of an account in a region, for tests to look into. Defaults: account 111122223333, region eu-central-1. */
  place(account?: string, region?: string): Place;
  /** What a client must have in its environment to talk to the lab as that account. */
  environment(who?: { account?: string; region?: string }): Record<string, string>;
  close(): Promise<void>;
}
