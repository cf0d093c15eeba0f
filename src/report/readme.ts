/** The section of a check's README under the heading that names this code. */
export function sectionOf(readme: string, code: string): string {
  const lines = readme.split('\n');
  const start = lines.findIndex((line) => /^#{2,3} /.test(line) && line.includes(`\`${code}\``));
  if (start < 0) {
    return readme;
  }
  const depth = (lines[start] as string).indexOf(' ');
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= depth);
  return `${lines
    .slice(start, length < 0 ? undefined : start + 1 + length)
    .join('\n')
    .trimEnd()}\n`;
}
