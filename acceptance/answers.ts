/** What AWS answered to a suspected point. */
export interface Answer {
  readonly id: string;
  readonly question: string;
  readonly assumed: string;
  readonly answered: string;
  readonly asAssumed: boolean;
}
