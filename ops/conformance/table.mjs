// The result as text: one row a step, one column per SDK and environment, reasons below, the count last.
export function render(steps, columns) {
  const width = Math.max(...steps.map((step) => step.id.length), 4);
  const cell = (result) => (result ? `${result.ok ? 'pass' : 'FAIL'} ${(result.ms / 1000).toFixed(1).padStart(5)}s` : 'not run');
  const line = (first, cells) => [first.padEnd(width), ...cells.map((text, i) => text.padEnd(columns[i].name.length))].join('  ').trimEnd();
  const out = [line('step', columns.map((c) => c.name))];
  for (const step of steps) out.push(line(step.id, columns.map((c) => cell(c.results.get(step.id)))));

  const results = columns.flatMap((c) => [...c.results.values()].map((r) => ({ ...r, column: c.name })));
  const failed = results.filter((r) => !r.ok);
  if (failed.length) out.push('');
  for (const { id, column, reason } of failed) out.push(`FAIL ${id} (${column}): ${reason}`);
  const missing = columns.filter((c) => c.broken);
  for (const { name, broken } of missing) out.push('', `FAIL ${name} could not run: ${broken}`);
  const notRun = missing.reduce((n, c) => n + steps.filter((step) => !c.results.has(step.id)).length, 0);
  out.push('', `${results.length - failed.length} passed, ${failed.length + notRun} failed`);
  return { text: out.join('\n'), failed: failed.length + notRun };
}
