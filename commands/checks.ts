import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';

export default class Checks extends Command {
  static override summary = 'List the checks and the codes of what they find.';
  static override flags = { json: Flags.boolean({ description: 'as JSON' }) };

  async run(): Promise<void> {
    const { flags } = await this.parse(Checks);
    if (flags.json) {
      const list = checks.map(({ load: _load, ...entry }) => entry);
      process.stdout.write(`${JSON.stringify({ schema: 'stdoctor.checks/1', checks: list }, null, 2)}\n`);
      return;
    }
    const width = 2 + Math.max(...checks.flatMap(({ codes }) => Object.keys(codes).map((code) => code.length)));
    for (const { id, title, codes } of checks) {
      process.stdout.write(
        `${id}  ${title}\n${Object.entries(codes)
          .map(([code, text]) => `    ${code.padEnd(width)}${text}\n`)
          .join('')}`,
      );
    }
  }
}
