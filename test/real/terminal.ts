/** A real terminal: tmux, with keys typed and the screen read. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** Leads the session: it outlives what the keys tell the program, and the kernel ends all when it ends with the terminal. */
const LEADER = 'trap : INT; sh "$@"; true';
/** Writes the program's exit code and what it left of the terminal, which stays open until it is closed. */
const INNER = 'trap : INT HUP; "$@"; echo $? > "$0"; stty -a > "$0.part"; mv "$0.part" "$0.stty"; read line';

export class Terminal {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  static async open(socket: string, argv: readonly string[], size: { columns: number; rows: number }): Promise<Terminal> {
    const terminal = new Terminal(socket);
    const { columns, rows } = size;
    await terminal.#tmux('-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', String(rows), 'sleep infinity');
    await terminal.#tmux('set-option', '-g', 'remain-on-exit', 'on');
    await terminal.#tmux('respawn-pane', '-k', '--', 'sh', '-c', LEADER, 'sh', '-c', INNER, `${socket}.code`, ...argv);
    return terminal;
  }

  async screen(): Promise<string> {
    return (await this.#tmux('capture-pane', '-p', '-J', '-S', '-500')).stdout;
  }

  async waitFor(pattern: RegExp, limitMs: number): Promise<string> {
    for (const end = Date.now() + limitMs; ; await sleep(100)) {
      const screen = await this.screen();
      if (pattern.test(screen)) {
        return screen;
      }
      if (Date.now() > end) {
        throw new Error(`not on the screen within ${limitMs} ms: ${pattern}\n${screen}`);
      }
    }
  }

  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', '--', text);
    await this.#tmux('send-keys', 'Enter');
  }

  async keys(...names: string[]): Promise<void> {
    await this.#tmux('send-keys', ...names);
  }

  /** The exit code, once the program has ended. */
  async ended(limitMs = 30_000): Promise<number> {
    const file = `${this.#socket}.code`;
    for (const end = Date.now() + limitMs; Date.now() < end; await sleep(100)) {
      const code = existsSync(file) ? readFileSync(file, 'utf8') : '';
      if (code.endsWith('\n')) {
        return Number(code);
      }
    }
    throw new Error(`still running after ${limitMs} ms:\n${await this.screen()}`);
  }

  /** What the program left of the terminal, in stty's words: `echo`, `-icanon`. Empty until it has ended. */
  modes(): string[] {
    const file = `${this.#socket}.code.stty`;
    return existsSync(file) ? readFileSync(file, 'utf8').split(/[\s;]+/) : [];
  }

  async showsCursor(): Promise<boolean> {
    return (await this.#tmux('display-message', '-p', '#{cursor_flag}')).stdout === '1';
  }

  /** The terminal goes away, as with a lost connection: its foreground gets SIGHUP. */
  async close(): Promise<void> {
    await execa('tmux', ['-S', this.#socket, 'kill-server'], { reject: false });
  }

  #tmux(...args: string[]) {
    return execa('tmux', ['-S', this.#socket, ...args], { cwd: '/', stdin: 'ignore' });
  }
}
