import { tagKey } from '../../domain/image.ts';
import type { Decision } from '../../domain/retention/retention.ts';
import type { Policy } from '../../domain/retention/rules.ts';
import type { Place, Powers } from '../../world.ts';

/** The soft landing: an image that nothing uses is marked and deprecated first, and unmarked when somebody needs it again. */

interface MarkWorld extends Pick<Powers<never>, 'report' | 'clock'> {
  readonly place: Pick<Place, 'images' | 'removal'>;
}

// AWS takes no time in the past, and rounds to the minute. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html
const SOON_SECONDS = 90;

// Who had deprecated it before us keeps his deprecation.
const THEIRS = ' deprecated before';

export async function mark(decisions: readonly Decision[], { scheme }: Policy, { place, report, clock }: MarkWorld): Promise<void> {
  for (const { image, marked } of decisions) {
    const theirs = image.deprecatedAt !== undefined;
    // The mark first: killed in between, it is what tells the next run that the deprecation is ours to take back.
    if (!marked) {
      const since = new Date(clock.now()).toISOString();
      await place.images.tag([image.id], { [tagKey(scheme, 'marked-at')]: since + (theirs ? THEIRS : '') });
    }
    if (!theirs) await place.removal.deprecate(image.id, new Date(clock.now() + SOON_SECONDS * 1000));
    report.info(`${image.id} is marked.`);
  }
}

export async function unmark(decisions: readonly Decision[], { scheme }: Policy, { place, report }: MarkWorld): Promise<void> {
  for (const { image } of decisions) {
    const key = tagKey(scheme, 'marked-at');
    if (!image.tags[key]?.endsWith(THEIRS)) await place.removal.undeprecate(image.id);
    await place.images.untag([image.id], [key]);
    report.info(`${image.id} is unmarked.`);
  }
}
