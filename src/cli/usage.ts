/** What oclif says about a wrong command line, told as this program tells it: where, what was expected, what was found. */
import { stripVTControlCharacters } from 'node:util';
import { messageOf } from '../errors.ts';

/** What a command declares, as far as it is told here. */
export interface Declared {
  flags?: { [name: string]: { helpValue?: string | string[]; options?: readonly string[]; description?: string } };
  args?: { [name: string]: { description?: string } };
}

/** given: the first word of the command line; command: what the command of that name declares, where there is one. */
export function usageMessage(error: unknown, given: string, command: Declared, commands: readonly string[]): string {
  const word = given === '' ? "''" : given;
  // Colours are for oclif's own printing.
  const text = stripVTControlCharacters(messageOf(error))
    .replace(/\n?See more help with --help$/, '')
    .replace(/^The following errors? occurred:\s+/, '');
  const flags = command.flags ?? {};
  const wanted = (name: string) => {
    const { helpValue, options } = flags[name] ?? {};
    return options === undefined ? [helpValue ?? 'a value'].flat().join(' ') : `one of ${options.join(', ')}`;
  };
  const parts: [RegExp, (...found: string[]) => string][] = [
    [/^command .* not found$/s, () => `${word} is no command: expected one of ${commands.join(', ')}`],
    [
      /^Nonexistent flags?: (.*)$/s,
      (flag) => `${word} has no flag ${flag}: expected ${listOf(Object.keys(flags).map((name) => `--${name}`))}`,
    ],
    [/^Flag --(\S+) expects (?:a value|one of these values)/, (name) => `${word} --${name}: expected ${wanted(name)}, found nothing`],
    [/^Flag --(\S+) can only be specified once$/, (name) => `${word} --${name}: expected once, found more often`],
    [/^Expected --([^=]+)=(.*) to be one of:/s, (name, value) => `${word} --${name}: expected ${wanted(name)}, found ${value}`],
    [/^Missing required flag (\S+)$/, (name) => `${word}: expected --${name} ${wanted(name)}, found none`],
    [
      /^--([^=\s]+)(?:=\S*)? cannot also be provided when using --(\S+)$/,
      (one, other) => `${word}: --${one} and --${other} exclude each other`,
    ],
    [
      /^Missing \d+ required args?/,
      () => {
        const [name, arg] = Object.entries(command.args ?? {})[0] ?? ['argument', {}];
        return `${word}: expected ${arg.description ?? name}, found nothing`;
      },
    ],
    [
      /^Unexpected arguments?: (.*)$/s,
      (extra) => {
        const count = Object.keys(command.args ?? {}).length;
        return `${word}: expected ${count === 0 ? 'no argument' : 'one argument'}, found ${extra}${count === 0 ? '' : ' beside it'}`;
      },
    ],
  ];
  for (const [pattern, tell] of parts) {
    const [, ...found] = pattern.exec(text) ?? [];
    if (pattern.test(text)) {
      return tell(...found);
    }
  }
  return text.replaceAll(/\s*\n\s*/g, '; ');
}

function listOf(words: readonly string[]): string {
  return words.length === 0 ? 'none' : `one of ${words.join(', ')}`;
}
