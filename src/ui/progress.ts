/** Live progress on standard error, where that is a terminal. The only place that knows listr2. */
import type { EngineEvent, Listener } from '../engine/events.ts';
import { printable } from '../names.ts';

/** Short work shows nothing: neither the list nor the loading of it. */
const SHOW_AFTER_MS = 250;
const REFRESH_MS = 250;
const SLOW_MS = 500;

interface State {
  checks: Map<string, string>;
  asked: Map<string, { source: string; since: number }>;
  step: { text: string; since: number } | undefined;
  /** The last line that the command of the step printed. */
  said: string;
}

/** Runs the work and shows under its title what is being waited for. */
export async function showWhile<T>(title: string, stream: NodeJS.WriteStream, work: (listen: Listener) => Promise<T>): Promise<T> {
  if (!stream.isTTY) {
    return work(() => {});
  }
  const state: State = { checks: new Map(), asked: new Map(), step: undefined, said: '' };
  const done = work((event) => note(state, event));
  let shown: Promise<void> | undefined;
  const timer = setTimeout(() => {
    shown = show(title, stream, state, done);
  }, SHOW_AFTER_MS);
  try {
    return await done;
  } finally {
    clearTimeout(timer);
    await shown;
  }
}

async function show(title: string, stream: NodeJS.WriteStream, state: State, done: Promise<unknown>): Promise<void> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // listr2 writes to standard output until its logger says otherwise.
  const logger = new ListrLogger({ processOutput: new ProcessOutput(stream, stream) });
  const list = new Listr(
    [
      {
        title,
        task: async (_, task) => {
          const refresh = setInterval(() => {
            // The title, not the output: listr2 keeps the last lines of an output, which would repeat themselves.
            task.title = [title, describe(state, Date.now())].filter(Boolean).join('\n');
          }, REFRESH_MS);
          await done.catch(() => {}).finally(() => clearInterval(refresh));
        },
        rendererOptions: { outputBar: 6, persistentOutput: false },
      },
    ],
    { renderer: 'default', forceTTY: true, registerSignalListeners: false, rendererOptions: { logger, clearOutput: true } },
  );
  await list.run().catch(() => {});
}

function note(state: State, event: EngineEvent): void {
  switch (event.type) {
    case 'checks':
      state.checks = new Map(event.ids.map(({ id, title }) => [id, title]));
      break;
    case 'check-ended':
      state.checks.delete(event.id);
      break;
    case 'asked':
      state.asked.set(event.key, { source: event.source, since: Date.now() });
      break;
    case 'answered':
      state.asked.delete(event.key);
      break;
    case 'step':
      state.step = { text: `step ${event.index + 1} of ${event.of}, ${event.title}: ${event.state}`, since: Date.now() };
      state.said = '';
      break;
    case 'said':
      state.said = event.text;
      break;
    default:
      break;
  }
}

/** What is going on, a line each: the step and what its command says, the checks at work, the questions that take long. */
export function describe({ step, said, checks, asked }: State, now: number): string {
  const slow = [...asked.values()].filter(({ since }) => now - since >= SLOW_MS).toSorted((a, b) => a.since - b.since);
  const lines = slow.slice(0, 4).map(({ source, since }) => `asking ${printable(source)} (${seconds(now - since)})`);
  const acting = step === undefined ? [] : [`${printable(step.text)}${now - step.since >= 1000 ? ` (${seconds(now - step.since)})` : ''}`];
  return [...acting, ...(said === '' ? [] : [printable(said)]), ...[...checks.keys()].slice(0, 2), ...lines].join('\n');
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
