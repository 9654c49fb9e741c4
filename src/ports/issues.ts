interface OnGitHub {
  readonly repository: string;
  /** Default: that of the environment. */
  readonly token: string | undefined;
  readonly markdown: string;
}

/** Texts that later runs edit. */
export interface Issues {
  /** The section of a step in our one comment of a pull request or issue. */
  comment(of: OnGitHub & { readonly number: number; readonly section: string }): Promise<void>;
  /** Our one open issue with this title; without `markdown` it is closed. Undefined: there was none to close. */
  keep(
    of: Omit<OnGitHub, 'markdown'> & { readonly title: string; readonly markdown: string | undefined },
  ): Promise<{ readonly number: number; readonly change: 'opened' | 'edited' | 'closed' } | undefined>;
}
