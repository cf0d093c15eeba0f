/** Several targets at the same time. One that is slow or gone delays no other. */
import pLimit from 'p-limit';
import type { Target } from '../check/types.ts';
import type { EngineEvent, Listener } from './events.ts';
import { type CheckEntry, type InspectOptions, inspect } from './inspect.ts';
import type { TargetResult } from './result.ts';

const AT_ONCE = 64;

/** The results are in the order of the targets; each is closed when it was asked. */
export async function inspectAll(
  targets: readonly Target[],
  entries: readonly CheckEntry[],
  options: InspectOptions,
): Promise<TargetResult[]> {
  const listen = options.listen ?? (() => {});
  const limit = pLimit(AT_ONCE);
  const isOne = targets.length === 1;
  if (!isOne) {
    listen({ type: 'checks', ids: targets.map(({ name }) => ({ id: name, title: name })) });
  }
  return Promise.all(
    targets.map((target) =>
      limit(async () => {
        const started = Date.now();
        const heard = isOne ? listen : from(target, listen);
        const { target: result } = await inspect(target, entries, { ...options, listen: heard });
        if (!isOne) {
          listen({ type: 'check-ended', id: target.name, outcome: 'healthy', findings: 0, durationMs: Date.now() - started });
        }
        // Nobody waits for a good-bye.
        void target.close?.();
        return result;
      }),
    ),
  );
}

/** What happens on one of several targets: the targets are what is at work, and each question names its own. */
function from({ name }: Target, listen: Listener): Listener {
  return (event: EngineEvent) => {
    if (event.type === 'asked') {
      listen({ ...event, key: `${name} ${event.key}`, source: `${name}: ${event.source}` });
    } else if (event.type === 'answered') {
      listen({ ...event, key: `${name} ${event.key}` });
    }
  };
}
