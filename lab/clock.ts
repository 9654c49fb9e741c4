/** The lab's time. `speed` real-time factor: 60 means that one real second counts as sixty. Seconds below are lab seconds. */
export interface LabClock {
  readonly speed: number;
  /** When the lab's time was the real one, milliseconds since 1970. */
  readonly since: number;
  /** Milliseconds since 1970. */
  now(): number;
  date(): Date;
  sleep(seconds: number): Promise<void>;
  /** Runs the deed later; the returned function calls it off. Deeds die with the lab. */
  after(seconds: number, deed: () => void): () => void;
  stop(): void;
}

export function labClock(speed: number): LabClock {
  const startedAt = Date.now();
  const timers = new Set<NodeJS.Timeout>();
  let stopped = false;
  const now = () => startedAt + (Date.now() - startedAt) * speed;
  const after = (seconds: number, deed: () => void) => {
    if (stopped) return () => undefined;
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        deed();
      },
      (seconds * 1000) / speed,
    );
    timers.add(timer);
    return () => {
      clearTimeout(timer);
      timers.delete(timer);
    };
  };
  return {
    speed,
    since: startedAt,
    now,
    date: () => new Date(now()),
    sleep: seconds => new Promise(done => void after(seconds, done)),
    after,
    stop: () => {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
