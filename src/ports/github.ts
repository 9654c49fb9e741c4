import type { CommitRange } from '../model/commits-served.ts';

/** The ports to GitHub. */

/** The history of a repository on GitHub. */
export interface Commits {
  /** A branch, tag or commit and its first parents, newest first; at most `atMost`. */
  firstParents(of: { repository: string; ref: string; atMost: number; token: string | undefined }): Promise<readonly string[]>;
  /** The commits of `head` that `base` does not have, newest first; undefined where the token cannot read them. */
  between(of: { repository: string; base: string; head: string; token: string }): Promise<CommitRange | undefined>;
}

/** A promotion or rollback as GitHub records it. */
interface Deployment {
  readonly imageId: string;
  /** The user who started the run. */
  readonly by: string;
  readonly at: Date;
}

export interface Deployments {
  /** The newest hundred that this action recorded for an environment, newest first. */
  list(of: { readonly repository: string; readonly token: string; readonly environment: string }): Promise<readonly Deployment[]>;
  /** Logins of who approved this run for an environment; empty where no one had to, and where the token cannot read it (`actions: read`). */
  approvers(of: {
    readonly repository: string;
    readonly token: string;
    readonly runId: string;
    readonly environment: string;
  }): Promise<readonly string[]>;
  /** Sets the deployment to in progress and returns its ID: an unfinished one of the same image, or a new one. */
  begin(of: {
    readonly repository: string;
    readonly token: string;
    readonly environment: string;
    readonly family: string;
    readonly commit: string;
    readonly imageId: string;
    readonly actor: string;
    readonly description: string;
    readonly logUrl: string;
  }): Promise<number>;
  /** After a success the deployment of the family that was active before becomes inactive. */
  end(of: {
    readonly repository: string;
    readonly token: string;
    readonly environment: string;
    readonly family: string;
    readonly id: number;
    /** in_progress: the outcome is not known yet. error: cancelled. https://docs.github.com/en/rest/deployments/statuses */
    readonly ended: 'success' | 'failure' | 'error' | 'in_progress';
    readonly description: string;
    readonly logUrl: string;
    readonly environmentUrl: string;
  }): Promise<void>;
}

/** Artifact attestations. https://docs.github.com/en/actions/concepts/security/artifact-attestations */
export interface Attestations {
  /** Undefined where a run of the repository on this ref has signed the digest of the content; else why not. Never rejects: what cannot be verified is refused. */
  refusal(of: {
    readonly content: string;
    readonly predicateType: string;
    readonly repository: string;
    /** Complete: refs/heads/main. */
    readonly ref: string;
    readonly token: string;
  }): Promise<string | undefined>;
}
