/** How output is truncated. The sizes are those of the API, the marks are those of the agent: https://github.com/aws/amazon-ssm-agent (iohandler.go, pluginutil.go) */

const MARK = '--output truncated--';

const cut = (text: string, most: number): string => (text.length < most ? text : text.slice(0, most - MARK.length) + MARK);

/** The first 24,000 and 8,000 characters. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html */
export const standardOutput = (text: string): string => cut(text, 24_000);
export const standardError = (text: string): string => cut(text, 8_000);

const MOST = 2_500;
const ERROR_TITLE = '\n----------ERROR-------\n';
const OUTPUT_MARK = '\n---Output truncated---';
const ERROR_MARK = '\n---Error truncated----';

/** Both outputs in 2,500 characters; one that exceeds its half is truncated. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CommandPlugin.html */
export function pluginOutput(stdout: string, stderr: string): string {
  const title = stderr === '' ? '' : ERROR_TITLE;
  const room = MOST - title.length;
  if (stdout.length + stderr.length < room) return stdout + title + stderr;
  const half = room / 2;
  const [longOutput, longError] = [stdout.length > half, stderr.length > half];
  const left = room - (longOutput ? OUTPUT_MARK.length : 0) - (longError ? ERROR_MARK.length : 0);
  if (longOutput && longError) {
    const each = Math.floor(left / 2);
    return stdout.slice(0, each) + OUTPUT_MARK + title + stderr.slice(0, each) + ERROR_MARK;
  }
  if (longError) return stdout + title + stderr.slice(0, left - stdout.length) + ERROR_MARK;
  return stdout.slice(0, left - stderr.length) + OUTPUT_MARK + title + stderr;
}
