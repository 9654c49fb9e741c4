/** How long things take, in lab seconds. The defaults are what one sees on AWS, roughly. */
export interface Timings {
  /** RunInstances -> running. */
  readonly boot: number;
  /** running -> status checks ok. */
  readonly statusChecks: number;
  /** running -> the agent answers, where the image has one. */
  readonly agent: number;
  /** The agent is silent -> ConnectionLost. */
  readonly agentSilence: number;
  /** SendCommand -> the agent has it, and GetCommandInvocation knows of it. */
  readonly delivery: number;
  /** shutting-down -> terminated, stopping -> stopped. */
  readonly shutdown: number;
  /** terminated -> not described any more. */
  readonly forget: number;
  /** CreateImage -> available. */
  readonly image: number;
  /** CopyImage -> available. */
  readonly copy: number;
  /** CreateImageUsageReport -> available. */
  readonly usageReport: number;
  /** PutParameter with aws:ec2:image -> the value is there. */
  readonly parameterCheck: number;
  /** Register with a target group -> healthy. */
  readonly targetHealth: number;
  /** How often a group looks at its instances. */
  readonly groupTick: number;
  /** After a launch that failed, until a group tries again. */
  readonly launchRetry: number;
  /** How long an instance refresh bears that nothing gets better before it fails: AWS's hour. */
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
  parameterCheck: 2,
  targetHealth: 5,
  groupTick: 2,
  launchRetry: 15,
  refreshPatience: 3600,
};
