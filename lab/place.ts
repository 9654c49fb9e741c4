import type { LabClock } from './clock.ts';
import type { Hypervisor } from './machines/hypervisor.ts';
import type { Timings } from './timings.ts';

/** What every operation may use, whichever account and region it serves. */
export interface Core {
  readonly clock: LabClock;
  readonly timings: Timings;
  readonly hypervisor: Hypervisor;
  /** The same for the same account and region. */
  place(account: string, region: string): Place;
  /** Every place that was ever asked for: sharing and cross-region copies look across. */
  places(): readonly Place[];
}

/** One account in one region. Holds nothing itself: each service keeps a slice of state for it. */
export interface Place {
  readonly account: string;
  readonly region: string;
  readonly core: Core;
}

/** State of one service in one place, made when it is first looked at. `const images = slice(() => new Map<string, LabImage>())`, then `images(place)`. */
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

/** State that belongs to no region: roles, sessions, organizations, addresses. */
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
