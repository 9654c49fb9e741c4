import type { LabClock } from './clock.ts';
import type { Hypervisor } from './machines/hypervisor.ts';
import type { Timings } from './timings.ts';

/** What every operation may use, in any account and region. */
export interface Core {
  readonly clock: LabClock;
  readonly timings: Timings;
  readonly hypervisor: Hypervisor;
  /** Whether Default Host Management is on in every account. */
  readonly hostManagement: boolean;
  /** Returns the same place for the same account and region. */
  place(account: string, region: string): Place;
  /** Every place that was ever requested. Sharing and cross-region copies use it. */
  places(): readonly Place[];
}

/** One account in one region. It holds no state itself: each service keeps a slice of state for it. */
export interface Place {
  readonly account: string;
  readonly region: string;
  readonly core: Core;
}

/** State of one service in one place, created on first use. `const images = slice(() => new Map<string, LabImage>())`, then `images(place)`. */
export function slice<T>(make: (place: Place) => T): (place: Place) => T {
  const all = new WeakMap<Place, T>();
  return place => {
    const known = all.get(place);
    if (known !== undefined) return known;
    const made = make(place);
    all.set(place, made);
    return made;
  };
}

/** State of the whole lab: roles, sessions, organizations, addresses. */
export function shared<T>(make: (core: Core) => T): (core: Core) => T {
  const all = new WeakMap<Core, T>();
  return core => {
    const known = all.get(core);
    if (known !== undefined) return known;
    const made = make(core);
    all.set(core, made);
    return made;
  };
}
