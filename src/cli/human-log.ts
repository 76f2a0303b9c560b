/** A node's log line, one JSON object, as a person reads it on a terminal; what is none stays as it is. */
export function humanLog(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    // A library's own words.
    return line;
  }
  const { time, level, event, region, ...rest } = fields;
  const where = region === undefined ? "" : ` in ${String(region)}`;
  const facts = Object.entries(rest).map(([name, value]) => `${name}: ${String(value)}`);
  return `${String(time).slice(11, 19)} ${String(level)}: ${String(event)}${where}${facts.length > 0 ? ` (${facts.join(", ")})` : ""}\n`;
}
