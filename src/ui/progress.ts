/** Live progress on standard error, where that is a terminal. The only place that knows listr2. */
import type { EngineEvent, Listener } from '../engine/events.ts';
import { printable } from '../names.ts';
import { shortened } from '../report/shortened.ts';

/** Short work shows nothing: neither the list nor the loading of it. */
const SHOW_AFTER_MS = 250;
const REFRESH_MS = 250;
const SLOW_MS = 500;
/** Checks and questions that are named; the others are counted. */
const CHECKS_SHOWN = 3;
const SLOW_SHOWN = 4;
/** What listr2 puts before a line, and the last column, which makes some terminals begin a new line. */
const COLUMNS_TAKEN = 4;
/** More of a command does not fit on any terminal. */
const SOURCE_CHARACTERS = 500;
// \e[?25h
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is one
const CURSOR = /^\u001b\[\?25[hl]$/;

interface State {
  checks: Map<string, string>;
  asked: Map<string, { source: string; since: number }>;
  step: { text: string; since: number } | undefined;
  /** The last line that the command of the step printed. */
  said: string;
}

/** Runs the work and shows under its title what is being waited for. */
export async function showWhile<T>(title: string, stream: NodeJS.WriteStream, work: (listen: Listener) => Promise<T>): Promise<T> {
  // A dumb terminal cannot take back what it has shown; screen readers often are behind one.
  if (!stream.isTTY || process.env['TERM'] === 'dumb') {
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

async function show(text: string, stream: NodeJS.WriteStream, state: State, done: Promise<unknown>): Promise<void> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // listr2 writes to standard output until its logger says otherwise.
  const logger = new ListrLogger({ processOutput: new ProcessOutput(stream, stream) });
  const started = Date.now() - SHOW_AFTER_MS;
  // The title, not the output: listr2 keeps the last lines of an output, which would repeat themselves.
  const title = () => {
    const now = Date.now();
    const lines = [`${printable(text)}${waited(now - started)}`, describe(state, now)].filter(Boolean).join('\n').split('\n');
    const width = Math.max((stream.columns || 80) - COLUMNS_TAKEN, 12);
    // A command ends with what it is about.
    return lines.map((line) => shortened(line, width, Math.floor(width / 2))).join('\n');
  };
  const list = new Listr(
    [
      {
        title: title(),
        task: async (_, task) => {
          const write = logger.process.stdout.write.bind(logger.process.stdout);
          // listr2 keeps what others write until its end: what an interruption says, and the cursor that it brings back.
          stream.write = (text: string | Uint8Array, ...rest: unknown[]) => {
            if (!CURSOR.test(String(text))) {
              // Private, and nothing else takes the frame off the screen.
              list['renderer']['updater'].clear();
            }
            return (write as (...words: unknown[]) => boolean)(text, ...rest);
          };
          const refresh = setInterval(() => {
            task.title = title();
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
  const acting = step === undefined ? [] : [`${printable(step.text)}${waited(now - step.since)}`];
  const working = [...checks.keys()];
  return [
    ...acting,
    ...(said === '' ? [] : [printable(said)]),
    ...(working.length === 0 ? [] : [`at work: ${working.slice(0, CHECKS_SHOWN).join(', ')}${andMore(working.length - CHECKS_SHOWN)}`]),
    ...slow
      .slice(0, SLOW_SHOWN)
      .map(({ source, since }) => `slow${waited(now - since)}: ${shortened(source, SOURCE_CHARACTERS, SOURCE_CHARACTERS / 2)}`),
    ...(slow.length > SLOW_SHOWN ? [`slow: ${slow.length - SLOW_SHOWN} more questions`] : []),
  ].join('\n');
}

function andMore(count: number): string {
  return count > 0 ? ` and ${count} more` : '';
}

/** Nothing for less than a second. */
function waited(ms: number): string {
  return ms < 1000 ? '' : ` (${Math.round(ms / 1000)} s)`;
}
