// Waiting for a condition with a deadline: for states that no event announces.

/** Settles once `condition` holds; rejects naming `what` when `withinMs` have passed. */
export async function eventually(what: string, condition: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
