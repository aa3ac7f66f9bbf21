// Waiting for conditions instead of sleeping: every wait names what it waits for and has a deadline.

/** Polls `condition` until it is true. Throws with `what` after `deadlineMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

/** Rejects with `what` when `promise` has not settled after `deadlineMs`. */
export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 30_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${deadlineMs} ms in vain: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
