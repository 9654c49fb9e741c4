/** Durations in lab seconds. The defaults are close to those of AWS. */
export interface Timings {
  /** RunInstances -> running. */
  readonly boot: number;
  /** running -> status checks ok. */
  readonly statusChecks: number;
  /** running -> the SSM agent answers, if the image has one. */
  readonly agent: number;
  /** The SSM agent stops answering -> ConnectionLost. */
  readonly agentSilence: number;
  /** SendCommand -> the agent has the command, and GetCommandInvocation returns it. */
  readonly delivery: number;
  /** shutting-down -> terminated, stopping -> stopped. */
  readonly shutdown: number;
  /** terminated -> no longer described. */
  readonly forget: number;
  /** CreateImage -> available. */
  readonly image: number;
  /** CopyImage -> available. */
  readonly copy: number;
  /** CreateImageUsageReport -> available. */
  readonly usageReport: number;
  /** CreateStack -> CREATE_COMPLETE, DeleteStack -> gone. */
  readonly stack: number;
  /** CreateChangeSet -> CREATE_COMPLETE. */
  readonly changeSet: number;
  /** PutParameter with aws:ec2:image -> the value is validated. */
  readonly parameterCheck: number;
  /** Register with a target group -> healthy. */
  readonly targetHealth: number;
  /** Interval in which a group checks its instances. */
  readonly groupTick: number;
  /** A launch failed -> the group retries. */
  readonly launchRetry: number;
  /** An instance refresh makes no progress -> it fails. One hour on AWS. */
  readonly refreshPatience: number;
}

export const TIMINGS: Timings = {
  boot: 8,
  statusChecks: 20,
  agent: 10,
  agentSilence: 60,
  delivery: 1,
  shutdown: 5,
  forget: 1800,
  image: 15,
  copy: 30,
  usageReport: 20,
  stack: 20,
  changeSet: 2,
  parameterCheck: 2,
  targetHealth: 5,
  groupTick: 2,
  launchRetry: 15,
  refreshPatience: 3600,
};
