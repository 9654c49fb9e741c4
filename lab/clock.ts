/** The lab's time. `speed` is its factor: at 60, one real second is sixty lab seconds. Seconds below are lab seconds. */
export interface LabClock {
  readonly speed: number;
  /** When lab time and real time were equal, milliseconds since 1970. */
  readonly since: number;
  /** Milliseconds since 1970. */
  now(): number;
  date(): Date;
  sleep(seconds: number): Promise<void>;
  /** Runs the task later; the returned function cancels it. Tasks end with the lab. */
  after(seconds: number, task: () => void): () => void;
  stop(): void;
}

export function labClock(speed: number): LabClock {
  const startedAt = Date.now();
  const timers = new Set<NodeJS.Timeout>();
  let stopped = false;
  const now = () => startedAt + (Date.now() - startedAt) * speed;
  const after = (seconds: number, task: () => void) => {
    if (stopped) return () => undefined;
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        task();
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
